// Rows of the load generator in bench/load/: command lines of its server and clients, and what they print.
import { join } from 'node:path';
import type { Place, Program } from '../measure/traffic.js';
import type { Figure, Target } from '../model.js';

export const loadProgram = 'native/build/Release/bench_load';

/** The server's command for all modes except datagrams. */
export function loadServer(root: string, port: number, mode = 'server'): string[] {
  return [join(root, loadProgram), mode, '0.0.0.0', String(port)];
}

export const loadReady = /^ready$/m;

/** The client's command in one of its modes; `numbers` as bench/load/main.c documents them. */
export function loadClient(
  root: string,
  mode: string,
  { address, port }: Target,
  numbers: readonly number[],
): string[] {
  return [join(root, loadProgram), mode, address, String(port), ...numbers.map(String)];
}

function load(mode: string, parse: (output: string) => Figure, ...numbers: number[]): Program {
  return {
    programs: [],
    file: loadProgram,
    server: (port, { root }: Place) => loadServer(root, port),
    ready: loadReady,
    client: (address, port, seconds, { root }) => loadClient(root, mode, { address, port }, [...numbers, seconds]),
    parse,
  };
}

/** Streams to the server, one thread for each at both ends. */
export function streams(count: number): Program {
  return load('streams', parseStreams, count);
}

/** New connections, `concurrency` at a time. */
export function connections(concurrency: number): Program {
  return load('connections', (output) => parseConnections(output, concurrency), concurrency);
}

/** A round trip of one byte over an open connection. */
export function pings(): Program {
  return load('ping', parsePings);
}

/** Small connections, one after the other, beside so many streams to the server. */
export function mixed(count: number): Program {
  return load('mixed', parseMixed, count);
}

/** A program over UDP, whose server counts datagrams and sends them back. */
function overUDP(program: Program): Program {
  return { ...program, protocol: 'udp', server: (port, { root }) => loadServer(root, port, 'udp-server') };
}

/** A flood of datagrams of that size. */
export function datagrams(size: number): Program {
  return overUDP(load('udp-flood', parseDatagrams, size));
}

/** Datagrams there and back, from so many clients. */
export function flows(count: number): Program {
  return overUDP(load('udp-flows', parseFlows, count));
}

interface Latencies {
  p50_us: number;
  p99_us: number;
  quantiles_us: Record<string, number>;
}

function latencies({ p50_us, p99_us, quantiles_us }: Latencies) {
  const p999 = quantiles_us['99.9'];
  return {
    values: { p50: p50_us, p99: p99_us, ...(p999 !== undefined && { p999 }) },
    quantiles: quantiles_us,
  };
}

export function parseStreams(output: string): Figure {
  const { gbits, bytes } = JSON.parse(output) as { gbits: number; bytes: number };
  return { values: { rate: gbits }, details: { bytes } };
}

/**
 * The rate alone makes a forwarder look fast that drops most attempts and serves the others, so the number of attempts in
 * flight is checked too.
 *
 * @throws {Error} if no connection was made
 */
export function parseConnections(output: string, concurrency: number): Figure {
  type Output = Latencies & Record<'rate' | 'in_flight' | 'errors' | 'connections', number>;
  const { rate, in_flight: moving, errors, connections: count, ...spread } = JSON.parse(output) as Output;
  if (!(rate > 0)) throw new Error(`no connection was made: ${output.trim()}`);
  const caveats: string[] = [];
  // One at a time: a stuck connection already shows in the rate.
  if (concurrency > 1 && moving < concurrency * 0.75) {
    caveats.push(`only ${moving} of ${concurrency} at once were moving, the others stuck`);
  }
  if (errors > count / 100) caveats.push(`${errors} attempts failed`);
  const { values, quantiles } = latencies(spread);
  return {
    values: { rate, ...values },
    quantiles,
    details: { in_flight: moving, errors, connections: count },
    ...(caveats.length > 0 && { caveat: caveats.join('; ') }),
  };
}

/** The round trips are the row's latencies; those of new connections are values of their own. */
export function parseMixed(output: string): Figure {
  type Output = Record<'bytes' | 'gbits' | 'pings' | 'connects', number> & Record<'ping' | 'connect', Latencies>;
  const { bytes, gbits, pings: count, connects, ping, connect } = JSON.parse(output) as Output;
  if (!(count > 0)) throw new Error('no byte came back over a small connection');
  const { values, quantiles } = latencies(ping);
  return {
    values: { rate: gbits, ...values, connect: connect.p99_us },
    quantiles,
    details: { bytes, pings: count, connects },
  };
}

/** @throws {Error} if nothing came back */
export function parseFlows(output: string): Figure {
  type Output = Latencies & Record<'flows' | 'answers' | 'rate' | 'lost', number> & { first: Latencies };
  const { rate, lost, answers, first, flows: clients, ...spread } = JSON.parse(output) as Output;
  if (!(rate > 0)) throw new Error('no datagram came back');
  const { values, quantiles } = latencies(spread);
  return {
    values: { rate, ...values, first: first.p50_us, lost: lost * 100 },
    quantiles,
    // There and back.
    details: { datagrams: answers * 2, clients },
    ...(lost > 0.01 && { caveat: `${(lost * 100).toFixed(0)} % of the datagrams were lost` }),
  };
}

/** @throws {Error} if nothing was answered */
export function parseNames(output: string): Figure {
  type Output = Latencies & Record<'answers' | 'rate' | 'lost' | 'wrong', number>;
  const { rate, lost, answers, wrong, ...spread } = JSON.parse(output) as Output;
  if (!(rate > 0)) throw new Error(`nothing was answered: ${output.trim()}`);
  const { values, quantiles } = latencies(spread);
  const caveats = [
    ...(lost > 0.01 ? [`${(lost * 100).toFixed(0)} % of the queries were lost`] : []),
    ...(wrong > 0 ? [`${wrong} answers without the address`] : []),
  ];
  return {
    values: { rate, ...values, lost: lost * 100 },
    quantiles,
    details: { queries: answers },
    ...(caveats.length > 0 && { caveat: caveats.join('; ') }),
  };
}

export function parsePings(output: string): Figure {
  return latencies(JSON.parse(output) as Latencies);
}

/** @throws {Error} if nothing arrived */
export function parseDatagrams(output: string): Figure {
  type Output = Record<'sent' | 'received' | 'rate' | 'lost', number>;
  const { rate, lost, sent, received } = JSON.parse(output) as Output;
  if (!(rate > 0)) throw new Error('no datagram arrived');
  return { values: { rate, lost: lost * 100 }, details: { sent, datagrams: received } };
}

/** Number of connections that are held. */
export function parseHeld(output: string): number {
  return (JSON.parse(output) as { held: number }).held;
}

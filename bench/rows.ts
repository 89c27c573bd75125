// What the benchmark measures. One row: a server, a client, and how a figure comes from the client's output.
import { join } from 'node:path';
import { ownName } from './candidates.js';

/** One measurement. */
export interface Figure {
  /** In the row's unit; more is better. */
  value: number;
  /** For the record: percentiles, errors, congestion control at either end. */
  details: Record<string, number | string>;
  /** Why the value is not what it seems; such a figure reaches no goal and serves none as the measure. */
  caveat?: string;
}

/** What this package is to reach in a row: at least `factor` times what the peer reaches. */
export interface Goal {
  candidate: string;
  peer: string;
  factor: number;
}

export interface Row {
  title: string;
  unit: string;
  decimals: number;
  goal?: Goal;
  /** Programs that must be there. */
  programs: readonly string[];
  /** File of this package that must be there. */
  file?: string;
  server(port: number, root: string): string[];
  /** Matches what the server says when it listens. */
  ready: RegExp;
  client(port: number, seconds: number, root: string): string[];
  parse(output: string): Figure;
}

function iperf3(extra: readonly string[]): Pick<Row, 'programs' | 'server' | 'ready' | 'client' | 'parse'> {
  return {
    programs: ['iperf3'],
    server: (port) => ['iperf3', '--server', '--port', String(port), '--forceflush'],
    ready: /Server listening/,
    client: (port, seconds) => [
      ...['iperf3', '--client', '127.0.0.1', '--port', String(port), '--time', String(seconds), '--json', ...extra],
    ],
    parse: parseIperf3,
  };
}

/** The members that we use of what `iperf3 --json` prints. */
interface Iperf3Output {
  error?: string;
  end?: {
    sum_received?: { bits_per_second?: number };
    sender_tcp_congestion?: string;
    receiver_tcp_congestion?: string;
  };
}

/** @throws {Error} with iperf3's own message if it failed */
export function parseIperf3(output: string): Figure {
  const { error, end } = JSON.parse(output) as Iperf3Output;
  const bits = end?.sum_received?.bits_per_second;
  if (error !== undefined || bits === undefined) throw new Error(`iperf3: ${error ?? 'no result'}`);
  return {
    value: bits / 1e9,
    details: {
      senderCongestion: end?.sender_tcp_congestion ?? 'unknown',
      receiverCongestion: end?.receiver_tcp_congestion ?? 'unknown',
    },
  };
}

/** Connections that the row "connections" keeps open at once. */
const concurrency = 32;

/**
 * Reads what bench_load prints. A forwarder that drops most attempts and serves the few that are left looks fast
 * by its rate alone, so the attempts that were really on their way are looked at, too.
 *
 * @throws {Error} if no connection came about
 */
export function parseLoad(output: string): Figure {
  const { rate, ...details } = JSON.parse(output) as { rate: number } & Record<string, number>;
  if (!(rate > 0)) throw new Error(`no connection came about: ${output.trim()}`);
  const { in_flight: moving = 0, errors = 0, connections = 0 } = details;
  const caveats: string[] = [];
  if (moving < concurrency * 0.75)
    caveats.push(`only ${moving} of ${concurrency} at once were moving, the others stuck`);
  if (errors > connections / 100) caveats.push(`${errors} attempts failed`);
  return { value: rate, details, ...(caveats.length > 0 && { caveat: caveats.join('; ') }) };
}

/** The program of native/src/bench_load.c. */
export const loadProgram = 'native/build/Release/bench_load';

/** By name, in the order of the tables. */
export const rows: Readonly<Record<string, Row>> = {
  tcp: {
    title: 'TCP, one stream to the server',
    unit: 'Gbit/s',
    decimals: 1,
    goal: { candidate: ownName, peer: 'rootlesskit', factor: 1.2 },
    ...iperf3([]),
  },
  'tcp-reverse': {
    title: 'TCP, one stream from the server',
    unit: 'Gbit/s',
    decimals: 1,
    ...iperf3(['--reverse']),
  },
  connections: {
    title: 'New TCP connections, 32 at once, one byte each way',
    unit: 'conn/s',
    decimals: 0,
    goal: { candidate: ownName, peer: 'rootlesskit', factor: 2 },
    programs: [],
    file: loadProgram,
    server: (port, root) => [join(root, loadProgram), 'server', '0.0.0.0', String(port)],
    ready: /^ready$/m,
    client: (port, seconds, root) => [
      ...[join(root, loadProgram), 'client', '127.0.0.1', String(port), String(concurrency), String(seconds)],
    ],
    parse: parseLoad,
  },
};

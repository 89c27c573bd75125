/** What `rootlessctl top` shows: counters of two moments, and the rates between them. */
import type { ContainerClient } from '../../../parent/client/container-client.js';
import { APIError } from '../../../parent/client/errors.js';
import type { StackClient } from '../../../parent/client/stack-client.js';
import type { Flow, PortReport } from '../../../protocol/api/types.js';
import type { ContainerUsage } from '../../../protocol/api/usage.js';
import { formatPortMapping } from '../../../protocol/ports/grammar.js';
import { parsePortSpecJSON } from '../../../protocol/ports/rootlesskit-json.js';

/** Connections of each direction that are looked at. */
const MAX_FLOWS = 1000;

/** The counters of a stack at one moment. */
export interface Sample {
  /** In ms, monotonic. */
  time: number;
  ports: readonly PortReport[];
  usage: readonly ContainerUsage[];
  flows: readonly Flow[];
}

interface Rates {
  /** Bytes a second into the namespaces or the container, and out. */
  in: number;
  out: number;
}

export interface PortRow extends Rates {
  id: number;
  port: string;
  container: string;
  open: number;
  bytesIn: number;
  bytesOut: number;
  refused: number;
  /** Empty while it listens. */
  state: string;
}

export interface ContainerRow extends Rates {
  container: string;
  /** Share of one processor, in percent; absent where it is not counted, as the others. */
  cpu?: number;
  memory?: number;
  processes?: number;
  bytesIn?: number;
  bytesOut?: number;
}

export interface ConnectionRow extends Rates {
  protocol: string;
  direction: Flow['direction'];
  from: string;
  to: string;
  state: string;
}

export interface TopReport {
  /** Seconds between the two moments. */
  interval: number;
  /** Of the published ports, and of connections out of the namespaces. */
  connections: { in: number; out: number };
  total: Rates;
  ports: PortRow[];
  containers: ContainerRow[];
  busiest: ConnectionRow[];
}

export const SORTS = ['bytes', 'connections', 'name'] as const;
export type Sort = (typeof SORTS)[number];

export async function takeSample(stack: StackClient, containers: ContainerClient): Promise<Sample> {
  const [ports, usage, flows] = await Promise.all([
    stack.listPorts({ counters: true }).catch(unlessRefused),
    // A stack without containers, and RootlessKit's API, have none.
    containers.usage().catch(unlessRefused),
    stack.flows({ limit: MAX_FLOWS, programs: false }).catch(unlessRefused),
  ]);
  return { time: performance.now(), ports, usage, flows };
}

function unlessRefused(error: unknown): [] {
  if (error instanceof APIError) return [];
  throw error;
}

export function reportBetween(before: Sample, now: Sample, sort: Sort): TopReport {
  const interval = Math.max(now.time - before.time, 1) / 1000;
  const rate = (value = 0, earlier = 0) => Math.max(0, value - earlier) / interval;
  const names = new Map(now.usage.map(({ id, name }) => [id, name]));
  const ports = portRows(before, now, { rate, names });
  const busiest = connectionRows(before, now, rate);
  const sum = (rows: readonly Rates[]): Rates => ({
    in: rows.reduce((total, row) => total + row.in, 0),
    out: rows.reduce((total, row) => total + row.out, 0),
  });
  const outbound = busiest.filter(({ direction }) => direction === 'out');
  const [published, others] = [sum(ports), sum(outbound)];
  return {
    interval,
    connections: { in: ports.reduce((count, { open }) => count + open, 0), out: outbound.length },
    total: { in: published.in + others.in, out: published.out + others.out },
    ports: ports.sort(
      order(
        sort,
        ({ port }) => port,
        ({ open }) => open,
      ),
    ),
    containers: containerRows(before, now, { rate, interval }).sort(
      order(
        sort,
        ({ container }) => container,
        () => 0,
      ),
    ),
    busiest: busiest.sort(
      order(
        'bytes',
        ({ from }) => from,
        () => 0,
      ),
    ),
  };
}

type Rate = (value?: number, earlier?: number) => number;

function portRows(
  before: Sample,
  now: Sample,
  { rate, names }: { rate: Rate; names: ReadonlyMap<string, string> },
): PortRow[] {
  const earlier = new Map(before.ports.map((port) => [port.id, port.counters]));
  return now.ports.map(({ id, spec, counters, listener, container }) => {
    const { open = 0, refused = 0, bytesIn = 0, bytesOut = 0 } = counters ?? {};
    const state = listener && listener.state !== 'listening' ? `${listener.state}: ${listener.reason ?? ''}` : '';
    return {
      id,
      port: formatPortMapping(parsePortSpecJSON(spec)),
      container: container === undefined ? '' : (names.get(container) ?? container),
      open,
      in: rate(bytesIn, earlier.get(id)?.bytesIn),
      out: rate(bytesOut, earlier.get(id)?.bytesOut),
      bytesIn,
      bytesOut,
      refused,
      state,
    };
  });
}

function containerRows(
  before: Sample,
  now: Sample,
  { rate, interval }: { rate: Rate; interval: number },
): ContainerRow[] {
  const earlier = new Map(before.usage.map((usage) => [usage.id, usage]));
  return now.usage.map(({ id, name, cpuTime, memory, processes, received, sent }) => {
    const then = earlier.get(id);
    return {
      container: name,
      ...(cpuTime !== undefined && { cpu: cpuShare(cpuTime - (then?.cpuTime ?? cpuTime), interval) }),
      ...(memory !== undefined && { memory }),
      ...(processes !== undefined && { processes }),
      in: rate(received, then?.received ?? received),
      out: rate(sent, then?.sent ?? sent),
      ...(received !== undefined && { bytesIn: received }),
      ...(sent !== undefined && { bytesOut: sent }),
    };
  });
}

/** In percent. @param used in µs @param interval in s */
export function cpuShare(used: number, interval: number): number {
  return (Math.max(0, used) / 1e6 / interval) * 100;
}

function connectionRows(before: Sample, now: Sample, rate: Rate): ConnectionRow[] {
  const earlier = new Map(before.flows.map((flow) => [flow.connection, flow]));
  return now.flows.map(
    ({ protocol, direction, connection, client, destination, host, name, state = 'open', ...counts }) => {
      const then = earlier.get(connection);
      return {
        protocol,
        direction,
        from: client,
        to: direction === 'in' ? host : (name ?? destination),
        in: rate(counts.bytesReceived, then?.bytesReceived),
        out: rate(counts.bytesSent, then?.bytesSent),
        state,
      };
    },
  );
}

/** The busiest first, or by name. */
function order<Row extends Rates>(
  sort: Sort,
  name: (row: Row) => string,
  connections: (row: Row) => number,
): (a: Row, b: Row) => number {
  const byName = (a: Row, b: Row) => (name(a) < name(b) ? -1 : name(a) > name(b) ? 1 : 0);
  const byBytes = (a: Row, b: Row) => b.in + b.out - (a.in + a.out);
  return (a, b) =>
    (sort === 'connections'
      ? connections(b) - connections(a) || byBytes(a, b)
      : sort === 'bytes'
        ? byBytes(a, b) || connections(b) - connections(a)
        : 0) || byName(a, b);
}

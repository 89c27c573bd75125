/**
 * Open connections and UDP flows of a stack, for reports: those out of the namespaces by the network driver builtin, and those of
 * published ports. The engine lists them; programs.ts finds whose they are, and only when somebody asks.
 */
import type { OutboundFlow, PortFlow } from '../../native/index.js';
import type { Flow } from '../../protocol/api/types.js';
import { type PublishedPort, part } from '../../protocol/ports/port-mapping.js';
import { bracket } from '../../protocol/ports/port-text.js';
import { printable } from '../errors.js';
import { findPrograms, type Program, type StackProcessesDeps } from './programs.js';
import type { SoughtSocket } from './sockets.js';

/** The part of the engine that is used here. */
export interface FlowEngine {
  outboundFlows(most: number): OutboundFlow[];
  portFlows(most: number): PortFlow[];
}

export interface FlowsDeps extends StackProcessesDeps {
  engine: FlowEngine;
  ports: () => readonly PublishedPort[];
  /** Name of the container that an address inside belongs to, where it is known without its program. */
  containerAt?: (client: string) => string | undefined;
}

/** As many of each direction as requested, the oldest first. */
export async function listFlows(
  { engine, ports, containerAt, ...processes }: FlowsDeps,
  most: number,
  withPrograms = true,
): Promise<Flow[]> {
  const now = Date.now();
  const outbound = engine.outboundFlows(most).map((flow) => ofOutbound(flow, now));
  const published = new Map<number, PublishedPort>();
  const inbound = engine.portFlows(most).flatMap((flow) => {
    const port = published.get(flow.port) ?? ports().find(({ id, count }) => flow.port >= id && flow.port < id + count);
    if (!port) return [];
    const single = part(port, flow.port - port.id);
    published.set(flow.port, single);
    return [ofPort(flow, single, now)];
  });
  const flows = [...outbound, ...inbound].sort((a, b) => a.since - b.since || a.connection - b.connection);
  const programs = withPrograms ? await findPrograms(flows.map(soughtOf), processes) : new Map<number, Program>();
  return flows.map((flow, index) => {
    const { container = containerAt?.(flow.client), ...program } = programs.get(index) ?? {};
    return { ...flow, ...('pid' in program && { program }), ...(container !== undefined && { container }) };
  });
}

/** Without its program. */
function ofOutbound(flow: OutboundFlow, now: number): Flow {
  const { protocol, connection, client, destination, host, bytesSent, bytesReceived, age } = flow;
  return {
    protocol,
    direction: 'out',
    connection,
    client,
    destination,
    host,
    ...(flow.name !== '' && { name: printable(flow.name) }),
    bytesSent,
    bytesReceived,
    since: now - age,
    verdict: 'allowed',
    state: flow.state,
  };
}

function ofPort(flow: PortFlow, { host, target }: PublishedPort, now: number): Flow {
  const { protocol, connection, client, bytesIn, bytesOut, age } = flow;
  return {
    protocol,
    direction: 'in',
    connection,
    port: flow.port,
    client,
    destination: addressText(target),
    host: addressText(host),
    bytesSent: bytesOut,
    bytesReceived: bytesIn,
    since: now - age,
    verdict: 'allowed',
    state: flow.state,
    ...(flow.source !== '' && { source: flow.source }),
  };
}

function addressText({ ip, port }: { ip: string; port: number }): string {
  return `${bracket(ip)}:${port}`;
}

function soughtOf({ protocol, direction, client, destination }: Flow): SoughtSocket {
  return direction === 'out' ? { protocol, local: client, remote: destination } : { protocol, local: destination };
}

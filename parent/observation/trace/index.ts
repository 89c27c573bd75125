/**
 * Follows the way that a connection to an address of the host would take.
 *
 * Theory of operation. port (is it published?) → listener (does the stack accept there?) → agent (is it ready?) → address (each
 * one that the dial rule leads to is tried by the agent) → source (whose address the server sees). The first step that fails
 * ends it, except that all addresses are tried. The hint is about that step.
 */

import type { TraceReport, TraceStep } from '../../../protocol/api/trace.js';
import { formatHostAddress, type HostAddress } from '../../../protocol/net/host-address.js';
import { isLoopback } from '../../../protocol/net/ip.js';
import { type PublishedPort, part } from '../../../protocol/ports/port-mapping.js';
import { bracket, plainAddress } from '../../../protocol/ports/port-text.js';
import type { PortState } from '../../../protocol/ports/status.js';
import type { TargetTrace } from '../../../protocol/wire/messages.js';
import { errorText } from '../../errors.js';
import type { PortDriver } from '../../port/driver.js';
import { isUnspecified } from '../../port/listen.js';
import { adviceFor, meaningOf } from './advice.js';

export interface TraceDeps {
  ports: PortDriver | undefined;
  /** Persistent ports that cannot be published yet. */
  waiting: () => readonly (PublishedPort & { listener: PortState })[];
  agent: { readonly state: string; trace(target: Uint8Array, port: number): Promise<TargetTrace> };
  /** Name of the running container of that id. */
  nameOf: (container: string) => Promise<string | undefined>;
  /** Of a driver that does not go through the agent: whether a program inside is bound to that port. */
  isBound: (transport: 'tcp' | 'udp', port: number) => boolean;
}

export async function tracePort(wanted: HostAddress, deps: TraceDeps): Promise<TraceReport> {
  const trace = new Trace(wanted);
  const all = deps.ports?.list() ?? [];
  const published = find(all, wanted);
  const waiting = find(deps.waiting(), wanted);
  if (!published) {
    if (waiting) return trace.fails('listener', `port ${waiting.id} is waiting: ${waiting.listener.reason ?? ''}`);
    return trace.fails('port', 'no port of this stack is published there', adviceFor.unpublished(wanted, all));
  }
  const container = published.container && (await deps.nameOf(published.container));
  trace.found(published, container);
  const report = deps.ports?.report(published.id);
  if (report?.bypass) {
    trace.passes('listener', 'the program inside has the socket of the host itself (bypass)');
    return trace.answers();
  }
  if (report && report.listener.state !== 'listening')
    return trace.fails('listener', report.listener.reason ?? 'it is not listening');
  trace.passes('listener', 'the stack accepts connections');
  const target = deps.ports?.targetOf?.(published.id);
  return target ? traceAgent(trace, published, { ...deps, target }) : traceDriver(trace, published, deps);
}

async function traceAgent(
  trace: Trace,
  port: PublishedPort,
  { agent, target }: TraceDeps & { target: Uint8Array },
): Promise<TraceReport> {
  if (agent.state !== 'ready') return trace.fails('agent', `the agent is ${agent.state}`, adviceFor.agent());
  let found: TargetTrace;
  try {
    found = await agent.trace(target, port.target.port);
  } catch (error) {
    return trace.fails('agent', errorText(error), adviceFor.agent());
  }
  trace.passes('agent', found.entersNetns ? 'ready; it connects in the network of the container' : 'ready');
  for (const { ip, error } of found.tried) trace.tried(`${bracket(ip)}:${port.target.port}`, error);
  if (found.tried.at(-1)?.error === '') {
    trace.source(found.entersNetns);
    return trace.answers();
  }
  return trace.report({ answers: false, hint: adviceFor.refused(port, found, trace.container) });
}

/** A driver that forwards by itself. */
function traceDriver(trace: Trace, port: PublishedPort, { ports, isBound }: TraceDeps): TraceReport {
  const { transport, target } = port;
  const bound = transport !== 'sctp' && isBound(transport, target.port);
  const address = `${bracket(target.ip)}:${target.port}`;
  trace.passes('agent', `not used: the port driver ${ports?.info.driver ?? ''} forwards by itself`);
  trace.tried(address, bound ? '' : 'ECONNREFUSED');
  const found = { tried: [], listening: [], entersNetns: false };
  return bound ? trace.answers() : trace.report({ answers: false, hint: adviceFor.refused(port, found, undefined) });
}

/** The report, while it is made. */
class Trace {
  readonly #steps: TraceStep[] = [];
  #port: number | undefined;
  container: string | undefined;

  constructor(private readonly wanted: HostAddress) {}

  found({ id, host, target, transport }: PublishedPort, container: string | undefined): void {
    this.#port = id;
    this.container = container;
    const where = container === undefined ? '' : ` of container ${container}`;
    const to = target.ip === '' ? `port ${target.port}` : `${bracket(target.ip)}:${target.port}`;
    this.passes('port', `${id}: ${bracket(host.ip) || '*'}:${host.port}/${transport} leads to ${to}${where}`);
  }

  passes(step: TraceStep['step'], text: string): void {
    this.#steps.push({ step, ok: true, text });
  }

  fails(step: TraceStep['step'], text: string, hint?: string): TraceReport {
    this.#steps.push({ step, ok: false, text });
    return this.report({ answers: false, hint });
  }

  /** An address inside. @param error an errno, "" if it answers */
  tried(address: string, error: string): void {
    const ok = error === '';
    const found = this.wanted.transport === 'udp' ? 'a program is bound to it' : 'a program accepts connections';
    const text = ok ? found : meaningOf(error, this.wanted.transport);
    this.#steps.push({ step: 'address', ok, text, address, ...(!ok && { error }) });
  }

  source(entersNetns: boolean): void {
    if (isLoopback(this.wanted.ip))
      this.passes('source', 'clients on loopback have no other address that the server could see');
    else if (entersNetns)
      this.passes('source', 'the server sees an address of its own container, not that of the client');
  }

  answers(): TraceReport {
    return this.report({ answers: true });
  }

  report({ answers, hint }: { answers: boolean; hint?: string | undefined }): TraceReport {
    return {
      address: formatHostAddress(this.wanted),
      ...(this.#port !== undefined && { port: this.#port }),
      ...(this.container !== undefined && { container: this.container }),
      answers,
      steps: this.#steps,
      ...(hint !== undefined && { hint }),
    };
  }
}

/** The port that clients of that address reach: one on the address itself before one on all of them, as bind(2) has it. */
function find<T extends PublishedPort>(ports: readonly T[], { transport, ip, port }: HostAddress): T | undefined {
  const candidates = ports.filter(
    (one) => one.transport === transport && port >= one.host.port && port < one.host.port + one.count,
  );
  const family = ip.includes(':') ? 6 : 4;
  const found =
    candidates.find(({ host }) => plainAddress(host.ip) === ip) ??
    candidates.find(
      (one) =>
        isUnspecified(plainAddress(one.host.ip)) &&
        (one.family ?? family) === family &&
        (one.host.ip !== '0.0.0.0' || family === 4),
    );
  return found && part(found, port - found.host.port);
}

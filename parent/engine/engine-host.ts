import { type DnsQuery, type Engine, type EngineCounters, type EngineEvent, native } from '../../native/index.js';
import { printable } from '../errors.js';
import { RateLimitedLog } from '../log/rate-limited-log.js';

const BYPASS_PATIENCE_MS = 10_000;

/** One end of a socketpair, with packets as messages. */
export interface PacketChannel {
  readonly id: number;
  send(data: Uint8Array, fds?: number[]): void;
  /** Descriptors that come with a message belong to the listener; there are none unless open() was to accept them. */
  onMessage(listener: (data: Buffer, fds: number[]) => void): void;
  /** Called when the other side closes its end, or sends an invalid packet; not after close(). */
  onClose(listener: (reason: string) => void): void;
  close(): void;
}

export type EgressDeniedEvent = Extract<EngineEvent, { type: 'egress-denied' }>;
export type ConnectionEvent = Extract<EngineEvent, { connection: number }>;
export type OutboundFlowEvent = Extract<EngineEvent, { type: 'outbound-opened' | 'outbound-closed' }>;

/** Events of the engine about ports. */
export interface PortEvents {
  onPortState(port: number, reason: string): void;
  onConnection(event: ConnectionEvent): void;
}

interface Listeners {
  message: (data: Buffer, fds: number[]) => void;
  close: (reason: string) => void;
  /** Otherwise they are closed. */
  acceptsFds: boolean;
}

export interface EngineHostOptions {
  /** Whether ports may be bypassed. */
  bypass?: boolean;
  threads?: number;
}

/** The engine of the parent's process; passes its events to the listeners of channels and ports. */
export class EngineHost {
  readonly engine: Engine;
  readonly #channels = new Map<number, Listeners>();
  readonly #closedPorts = new Map<number, () => void>();
  readonly #endedBypasses = new Map<number, () => void>();
  #nextChannel = 1;
  readonly #log: RateLimitedLog;
  portEvents: PortEvents | undefined;
  /** Gets what the egress policy denies; texts are cleaned. */
  onEgressDenied: ((event: EgressDeniedEvent) => void) | undefined;
  #onAddresses: (() => void)[] = [];
  onOutbound: (event: OutboundFlowEvent) => void = () => {};
  /** Gets queries that a DNS server of this process has answered; names are printable. */
  onQuery: (event: DnsQuery) => void = () => {};

  /** Threads that relay connections. */
  readonly threads: number;

  constructor(
    congestion: string,
    warn: (text: string) => void,
    { bypass = false, threads = 1 }: EngineHostOptions = {},
  ) {
    this.#log = new RateLimitedLog(warn, 'the port driver');
    this.threads = threads;
    this.engine = new (native().Engine)(
      congestion,
      (events) => {
        for (const event of events) this.#handle(event);
      },
      { threads, oneHome: bypass ? 1 : 0 },
    );
    this.engine.confine();
  }

  /** Takes over the descriptor. Messages have descriptors of the other side's only where these are accepted. */
  open(fd: number, { acceptsFds = false } = {}): PacketChannel {
    const id = this.#nextChannel++;
    // Buffers events until a listener is attached: a program may end before its start is reported.
    const early: { data: Buffer; fds: number[] }[] = [];
    let closed: string | undefined;
    const listeners: Listeners = {
      message: (data, fds) => {
        early.push({ data, fds });
      },
      close: (reason) => {
        closed = reason;
      },
      acceptsFds,
    };
    this.#channels.set(id, listeners);
    this.engine.openChannel(id, fd);
    return {
      id,
      send: (data, fds) => this.engine.send(id, data, fds),
      onMessage: (listener) => {
        listeners.message = listener;
        for (const { data, fds } of early.splice(0)) listener(data, fds);
      },
      onClose: (listener) => {
        listeners.close = listener;
        if (closed !== undefined) listener(closed);
      },
      close: () => {
        this.#channels.delete(id);
        for (const { fds } of early.splice(0)) discard(fds);
        this.engine.closeChannel(id);
      },
    };
  }

  /** Calls the listener for each change of the host's addresses, routes and rules from now on, and soon for the first time. */
  watchAddresses(listener: () => void): void {
    // The engine reports the first time only where it has no watch yet.
    if (this.#onAddresses.length > 0) setImmediate(listener);
    this.#onAddresses.push(listener);
    this.engine.watchAddresses(
      true,
      'cannot watch the addresses of the host; ports that wait for one are tried on reload',
    );
  }

  /** Resolves when the engine's thread has done its pending work: it then reports that a closed channel is closed. */
  async roundTrip(): Promise<void> {
    let ours: number, theirs: number;
    try {
      [ours, theirs] = native().socketpair();
    } catch {
      // Descriptors have run out: the engine is not to blame.
      return;
    }
    native().closeFd(theirs);
    await new Promise<void>((resolve) => this.open(ours).onClose(() => resolve()));
  }

  /** Resolves when the listeners and connections of the ports with `count` ids from `firstId` on are closed. */
  removePorts(firstId: number, count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#closedPorts.set(firstId, resolve);
      this.engine.removePorts(firstId, count);
    });
  }

  /** Resolves when programs no longer have sockets of the port; or after a while, since they may delay that. */
  endBypass(id: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, BYPASS_PATIENCE_MS);
      const others = this.#endedBypasses.get(id);
      this.#endedBypasses.set(id, () => {
        clearTimeout(timer);
        resolve();
        others?.();
      });
      this.engine.endBypass(id);
    });
  }

  counters(id: number): EngineCounters | undefined {
    return this.engine.counters(id);
  }

  close(): void {
    this.engine.close();
  }

  #handle(event: EngineEvent): void {
    switch (event.type) {
      case 'message': {
        const channel = this.#channels.get(event.channel);
        if (!channel?.acceptsFds) discard(event.fds);
        channel?.message(event.data, channel.acceptsFds ? event.fds : []);
        break;
      }
      case 'channel-closed': {
        const listeners = this.#channels.get(event.channel);
        this.#channels.delete(event.channel);
        listeners?.close(event.reason);
        break;
      }
      case 'port-closed':
        this.#closedPorts.get(event.port)?.();
        this.#closedPorts.delete(event.port);
        break;
      case 'bypass-ended':
        this.#endedBypasses.get(event.port)?.();
        this.#endedBypasses.delete(event.port);
        break;
      case 'port-state':
        this.portEvents?.onPortState(event.port, event.reason);
        break;
      case 'addresses-changed':
        for (const listener of this.#onAddresses) listener();
        break;
      case 'log':
        this.#log.log(printable(event.text));
        break;
      case 'outbound-opened':
      case 'outbound-closed':
        this.onOutbound(event);
        break;
      case 'dns-query':
        this.onQuery(event);
        break;
      case 'egress-denied':
        this.onEgressDenied?.({ ...event, destination: printable(event.destination), reason: printable(event.reason) });
        break;
      case 'plan-wanted':
      case 'client-wanted':
      case 'dns-answer':
        break;
      default:
        this.portEvents?.onConnection({ ...event, reason: printable(event.reason) });
    }
  }
}

function discard(fds: readonly number[]): void {
  for (const fd of fds) native().discardFd(fd);
}

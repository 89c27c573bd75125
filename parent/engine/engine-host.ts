import { type Engine, type EngineCounters, type EngineEvent, native } from '../native/index.js';
import { printable } from './errors.js';

const BYPASS_PATIENCE_MS = 10_000;

/** One end of a socketpair, with packets as messages. */
export interface PacketChannel {
  readonly id: number;
  send(data: Uint8Array, fds?: number[]): void;
  onMessage(listener: (data: Buffer) => void): void;
  /** Called when the other side goes away, or sends what cannot be read; not after close(). */
  onClose(listener: (reason: string) => void): void;
  close(): void;
}

export type ConnectionEvent = Extract<EngineEvent, { connection: number }>;

/** What the engine has to say of ports. */
export interface PortEvents {
  onPortState(port: number, reason: string): void;
  onConnection(event: ConnectionEvent): void;
}

/**
 * The engine of the parent's process, with its events given to those whom they concern.
 */
export class Channels {
  readonly engine: Engine;
  readonly #channels = new Map<number, { message: (data: Buffer) => void; close: (reason: string) => void }>();
  readonly #closedPorts = new Map<number, () => void>();
  readonly #endedBypasses = new Map<number, () => void>();
  #nextChannel = 1;
  portEvents: PortEvents | undefined;

  constructor(
    congestion: string,
    private readonly warn: (text: string) => void,
  ) {
    this.engine = new (native().Engine)(congestion, (events) => {
      for (const event of events) this.#handle(event);
    });
  }

  /** Takes over the descriptor. */
  open(fd: number): PacketChannel {
    const id = this.#nextChannel++;
    // What comes before anybody listens is told to him when he does: a program may have ended before its start is known.
    const early: Buffer[] = [];
    let closed: string | undefined;
    const listeners = {
      message: (data: Buffer): void => {
        early.push(data);
      },
      close: (reason: string) => {
        closed = reason;
      },
    };
    this.#channels.set(id, listeners);
    this.engine.openChannel(id, fd);
    return {
      id,
      send: (data, fds) => this.engine.send(id, data, fds),
      onMessage: (listener) => {
        listeners.message = listener;
        for (const data of early.splice(0)) listener(data);
      },
      onClose: (listener) => {
        listeners.close = listener;
        if (closed !== undefined) listener(closed);
      },
      close: () => {
        this.#channels.delete(id);
        this.engine.closeChannel(id);
      },
    };
  }

  /** Resolves when the engine has done something: with a channel whose other end is closed already, it says so. */
  async answers(): Promise<void> {
    let ours: number, theirs: number;
    try {
      [ours, theirs] = native().socketpair();
    } catch {
      // Descriptors have run out, which is no fault of the engine.
      return;
    }
    native().closeFd(theirs);
    await new Promise<void>((resolve) => this.open(ours).onClose(() => resolve()));
  }

  /** Resolves when the port's listeners and connections are closed. */
  removePort(id: number): Promise<void> {
    return new Promise((resolve) => {
      this.#closedPorts.set(id, resolve);
      this.engine.removePort(id);
    });
  }

  /** Resolves when what programs have of the port is ended; or after a while, since they may hold that up. */
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
      case 'message':
        // Nobody sends descriptors in messages of this kind.
        for (const fd of event.fds) native().closeFd(fd);
        this.#channels.get(event.channel)?.message(event.data);
        break;
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
      case 'log':
        this.warn(printable(event.text));
        break;
      case 'plan-wanted':
      case 'client-wanted':
        break;
      default:
        this.portEvents?.onConnection({ ...event, reason: printable(event.reason) });
    }
  }
}

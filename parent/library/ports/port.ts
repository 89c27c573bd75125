/** A port that a program has published. */
import type { PortReport } from '../../../protocol/api/types.js';
import { bracket } from '../../../protocol/ports/port-text.js';
import { type PortStatus, reachableIP } from '../../../protocol/ports/rootlesskit-json.js';
import type { PortCounters, PortState } from '../../../protocol/ports/status.js';
import { APIError } from '../../client/errors.js';
import type { StackClient } from '../../client/stack-client.js';
import { UnknownPortError } from '../../port/errors.js';
import { type Abortable, abortable } from '../abort.js';
import { removed } from '../errors.js';

/** Removed from the host when it is closed, and when the stack ends. */
export class Port implements AsyncDisposable {
  /** Of the stack's, from 1 on; of a range, of its first port. */
  readonly id: number;
  readonly protocol: string;
  /** Address on the host that programs there connect to. */
  readonly host: string;
  /** On the host. */
  readonly port: number;
  /** Inside. */
  readonly targetPort: number;
  /** Consecutive ports, from `port` on. */
  readonly count: number;
  readonly #client: StackClient;
  readonly #onClosed: () => void;
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  /** @param onClosed is called when it is removed */
  constructor(client: StackClient, { id, spec }: PortStatus, onClosed: () => void) {
    const { proto, parentPort, childPort, count = 1 } = spec;
    this.#client = client;
    this.#onClosed = onClosed;
    this.id = id;
    this.protocol = proto;
    this.host = reachableIP(spec);
    this.port = parentPort;
    this.targetPort = childPort;
    this.count = count;
  }

  /** `http://127.0.0.2:8080` for TCP, `udp://…` for UDP. */
  get url(): string {
    return `${this.protocol.startsWith('udp') ? 'udp' : 'http'}://${bracket(this.host)}:${this.port}`;
  }

  /** What has happened on it so far; of a range, on its first port. */
  async counters({ signal }: Abortable = {}): Promise<PortCounters> {
    const { counters } = await this.#report(signal);
    return counters ?? { open: 0, opened: 0, refused: 0, bytesIn: 0, bytesOut: 0 };
  }

  /** Whether it listens on the host. */
  async state({ signal }: Abortable = {}): Promise<PortState> {
    return (await this.#report(signal)).listener ?? { state: 'listening' };
  }

  /**
   * Resolves when something answers inside; of a range, on its first port. For TCP it is tried with connections, which are
   * closed at once; for UDP a socket has to be bound to the port.
   */
  async ready({ signal }: Abortable = {}): Promise<void> {
    const { whenReady } = await import('./readiness.js');
    const signals = signal ? [signal, this.#closing.signal] : [this.#closing.signal];
    const ended = AbortSignal.any(signals);
    await whenReady(this, this.#client, ended).catch((error: unknown) => {
      throw ended.aborted ? ended.reason : error;
    });
  }

  /** Limits what goes through it, as createNamespace() does; `unlimited` ends that. */
  async setLimit(limit: string, { signal }: Abortable = {}): Promise<void> {
    await abortable(signal, () => this.#client.setLimit(limit, this.id));
  }

  /** Resolves when the port of the host is free again, and its connections are closed. */
  close(): Promise<void> {
    this.#closing.abort(new UnknownPortError(this.id));
    this.#closed ??= this.#remove();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #remove(): Promise<void> {
    const ids = Array.from({ length: this.count }, (_, offset) => this.id + offset);
    const isGone = (error: unknown) => error instanceof APIError && error.code === 'no-such-port';
    await removed(this.#client.removePorts(ids), isGone);
    this.#onClosed();
  }

  async #report(signal: AbortSignal | undefined): Promise<PortReport> {
    const ports = await abortable(signal, () => this.#client.listPorts({ counters: true }));
    const report = ports.find(({ id }) => id === this.id);
    if (!report) throw new UnknownPortError(this.id);
    return report;
  }
}

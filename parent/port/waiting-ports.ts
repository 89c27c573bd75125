/**
 * Persistent ports that cannot be published yet, above all those on an address that the host gets later (VPN, DHCP).
 *
 * Theory of operation. A port that the host refuses waits, with its id and the reason. When the host's addresses change
 * all that wait are tried again; one whose port is in use by another program also every RETRY_MS. It stops waiting when it
 * is published (with the same id), when it is removed, or when the file of persistent ports no longer has it. Of a range
 * only those ports wait that cannot be published.
 */
import { formatPortMapping } from '../../protocol/ports/grammar.js';
import { HostPortIndex } from '../../protocol/ports/host-port-index.js';
import { type PortMapping, type PublishedPort, part, singles } from '../../protocol/ports/port-mapping.js';
import type { PortState } from '../../protocol/ports/status.js';
import { errorText } from '../errors.js';
import type { EventBody, PortDriver } from './driver.js';
import { PortBindError, PortConflictError } from './errors.js';

const RETRY_MS = 10_000;
/** Addresses often come several at a time. */
const SETTLE_MS = 50;
/** Other ports of the same range may be free. Any other failure is that of all ports from the failed one on. */
const OF_ONE_PORT = ['EADDRINUSE', 'EACCES'];

export interface WaitingPort extends PublishedPort {
  listener: PortState & { reason: string };
}

export interface WaitingPortsOptions {
  driver: PortDriver;
  /** Calls the listener for each change of the host's addresses from now on, and soon for the first time. */
  watchAddresses: (listener: () => void) => void;
  emit: (event: EventBody) => void;
  log: { info: (line: string) => void; warn: (line: string) => void };
}

export class WaitingPorts {
  readonly #waiting = new HostPortIndex<WaitingPort & { errno: string }>();
  #watches = false;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  /** One attempt at a time. */
  #trying: Promise<void> = Promise.resolve();

  constructor(private readonly options: WaitingPortsOptions) {}

  /** Publishes these where that is possible now; the others wait. Ports that waited and are not among them are dropped. */
  publish(mappings: readonly PortMapping[]): Promise<void> {
    return this.#next(async () => {
      const wanted = new HostPortIndex<PortMapping>();
      for (const mapping of mappings) wanted.set(mapping);
      for (const port of singles([...this.#waiting])) if (!wanted.covers(port)) this.#waiting.delete(port);
      const known = new HostPortIndex<PortMapping>();
      for (const port of [...this.options.driver.list(), ...this.#waiting]) known.set(port);
      for (const mapping of mappings) {
        for (const { count, host, id } of [...this.#waiting.overlaps(mapping)]) {
          await this.#try(part(mapping, host.port - mapping.host.port, count), id);
        }
        for (const rest of known.missing(mapping)) await this.#try(rest);
      }
    });
  }

  list(): WaitingPort[] {
    return [...this.#waiting].map(({ errno: _, ...port }) => port);
  }

  /** Undefined if no port of that id waits. */
  remove(id: number): PublishedPort | undefined {
    for (const { listener: _, ...range } of this.list()) {
      if (id < range.id || id >= range.id + range.count) continue;
      const port = part(range, id - range.id);
      this.#waiting.delete(port);
      this.options.emit({ type: 'port-removed', ports: port });
      return port;
    }
    return undefined;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#waiting.clear();
  }

  #next(task: () => Promise<void>): Promise<void> {
    const next = this.#trying.then(task);
    this.#trying = next.catch(() => {});
    return next;
  }

  #retry(): void {
    void this.#next(async () => {
      for (const before of [...this.#waiting]) {
        // Some may have been removed meanwhile.
        for (const { id, listener: _, errno: __, ...mapping } of [...this.#waiting.overlaps(before)]) {
          await this.#try(mapping, id);
        }
      }
    });
  }

  /** @param id of the first port, where they wait already */
  async #try(mapping: PortMapping, id?: number): Promise<void> {
    if (this.#closed) return;
    const { driver, log } = this.options;
    try {
      const port = await driver.add(mapping, id);
      this.#waiting.delete(mapping);
      // Closed while it was opened.
      if (this.#closed) await driver.remove(port.id, port.count);
      else if (id !== undefined) log.info(`persistent port ${formatPortMapping(mapping)} is published now`);
    } catch (error) {
      if (error instanceof PortConflictError) {
        // It is published already.
        this.#waiting.delete(mapping);
      } else if (mapping.count > 1 && error instanceof PortBindError && OF_ONE_PORT.includes(error.errno)) {
        await this.#tryAround(error.offset, mapping, id);
      } else if (error instanceof PortBindError && error.offset > 0) {
        const { offset } = error;
        await this.#try(part(mapping, 0, offset), id);
        const rest = part(mapping, offset, mapping.count - offset);
        this.#wait(rest, id === undefined ? driver.newId(rest.count) : id + offset, error);
      } else {
        this.#wait(mapping, id ?? driver.newId(mapping.count), error);
      }
    }
  }

  /** The ports before that number, it, and those after it. */
  async #tryAround(offset: number, mapping: PortMapping, id: number | undefined): Promise<void> {
    const parts = [
      [0, offset],
      [offset, 1],
      [offset + 1, mapping.count - offset - 1],
    ] as const;
    for (const [first, count] of parts) {
      if (count > 0) await this.#try(part(mapping, first, count), id === undefined ? undefined : id + first);
    }
  }

  #wait(mapping: PortMapping, id: number, error: unknown): void {
    const { emit, log } = this.options;
    const [before] = this.#waiting.overlaps(mapping);
    const listener = { state: 'waiting' as const, reason: errorText(error) };
    const port = { ...mapping, id, listener, errno: error instanceof PortBindError ? error.errno : '' };
    this.#waiting.set(port);
    if (before?.listener.reason !== listener.reason) {
      log.warn(`persistent port ${formatPortMapping(mapping)} is waiting: ${listener.reason}`);
      for (const one of singles([port])) emit({ type: 'port-state', id: one.id, listener });
    }
    this.#watch();
  }

  #watch(): void {
    if (!this.#watches) {
      this.#watches = true;
      this.options.watchAddresses(() => this.#schedule(SETTLE_MS));
    }
    if ([...this.#waiting].some(({ errno }) => errno === 'EADDRINUSE')) this.#schedule(RETRY_MS);
  }

  /** The earliest of what is asked for; it keeps no process alive. */
  #schedule(delay: number): void {
    if (this.#closed || this.#waiting.isEmpty) return;
    if (delay === RETRY_MS && this.#timer) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#retry();
    }, delay).unref();
  }
}

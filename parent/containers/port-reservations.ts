/**
 * Published ports of containers, by owner: opened before anything else of a container is made, given their target when
 * it has an address, and closed together. The agent that asks for them may die and be replaced; they stay.
 */
import { setImmediate } from 'node:timers/promises';
import { native } from '../../native/index.js';
import { formatPorts } from '../../protocol/ports/grammar.js';
import { type PortMapping, part, protocolName, singles } from '../../protocol/ports/port-mapping.js';
import { bracket } from '../../protocol/ports/port-text.js';
import type { PortDriver } from '../port/driver.js';
import { PortBindError, PortError, UnknownPortError } from '../port/errors.js';
import { type Listeners, openListeners } from '../port/listen.js';
import type { ActivatedSockets } from '../systemd/activated-sockets.js';

/** Attempts to bind in one reservation; each takes some 10 µs. More than there are ports of one address. */
const MAX_ATTEMPTS = 100_000;
/** Ports between two turns of the event loop: a few milliseconds. */
const SLICE = 200;

interface Reserved {
  mapping: PortMapping;
  /** Until they are activated. */
  fds?: number[];
  /** Of the first port, from then on. */
  id?: number;
}

export class PortReservations {
  readonly #owners = new Map<string, Reserved[]>();
  #closed = false;

  constructor(
    private readonly driver: PortDriver | undefined,
    /** Those that systemd has opened; undefined if there are none. */
    private readonly sockets?: ActivatedSockets | undefined,
    /** Called when what publishedBy() returns has changed. */
    private readonly changed: () => void = () => {},
  ) {}

  /**
   * Opens all or none; what the owner had is closed first. Returns the host's ports that were chosen, where any free one
   * was requested, in the order of the mappings. Throws PortError.
   */
  async reserve(owner: string, mappings: readonly PortMapping[]): Promise<number[]> {
    await this.release(owner);
    if (mappings.length === 0) return [];
    if (!this.driver?.adopt) {
      throw new PortError(
        `the port driver ${this.driver?.info.driver ?? 'none'} cannot publish ports of containers; start the stack with --port-driver=builtin`,
      );
    }
    const reservation = new Reservation(mappings, () => this.#closed, this.sockets);
    this.#owners.set(owner, await reservation.open());
    return reservation.chosen;
  }

  /** Does nothing for those that are active. Throws PortError. */
  async activate(owner: string, childIP: string): Promise<void> {
    let count = 0;
    for (const reserved of this.#owners.get(owner) ?? []) {
      if (reserved.fds === undefined) continue;
      count += reserved.mapping.count;
      if (count > SLICE) {
        count = 0;
        await setImmediate();
      }
      const { fds, mapping } = reserved;
      // Released meanwhile.
      if (fds === undefined) continue;
      delete reserved.fds;
      const target = { ...mapping.target, ip: childIP };
      const port =
        childIP === ''
          ? await this.driver?.adopt?.(fds, mapping)
          : await this.driver?.adopt?.(fds, { ...mapping, target }, { container: owner });
      if (port) reserved.id = port.id;
    }
    this.changed();
  }

  /** Resolves when they are free again. */
  async release(owner: string): Promise<void> {
    const all = this.#owners.get(owner) ?? [];
    this.#owners.delete(owner);
    if (all.length > 0) this.changed();
    await Promise.all(
      all.map(async (reserved) => {
        const { fds = [], id, mapping } = reserved;
        delete reserved.fds;
        for (const fd of fds) native().closeFd(fd);
        if (id !== undefined) {
          await this.driver?.remove(id, mapping.count).catch((error: unknown) => {
            // The user has removed them through the API.
            if (!(error instanceof UnknownPortError)) throw error;
          });
        }
        if (!this.#closed && this.sockets) for (const one of singles([mapping])) await this.sockets.giveBack(one);
      }),
    );
  }

  owners(): string[] {
    return [...this.#owners.keys()];
  }

  /** Those that are active. */
  publishedBy(owner: string): PortMapping[] {
    return (this.#owners.get(owner) ?? []).flatMap(({ id, mapping }) => (id === undefined ? [] : [mapping]));
  }

  /** Whether an owner has the published port. */
  has(port: number): boolean {
    for (const all of this.#owners.values()) {
      if (all.some(({ id, mapping }) => id !== undefined && port >= id && port < id + mapping.count)) return true;
    }
    return false;
  }

  /** A reservation that is under way fails. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const owner of this.owners()) await this.release(owner);
  }
}

/**
 * The listeners of one owner, opened in slices, between which everything else in this process continues. The number of
 * attempts is bounded: mappings that share ports do not try again what an earlier one of them has found to be in use.
 */
class Reservation {
  /** The host's ports, where any free one was requested. */
  readonly chosen: number[] = [];
  readonly #reserved: Required<Pick<Reserved, 'fds' | 'mapping'>>[] = [];
  /** Where mappings "the first free one from A to B" continue, by protocol, address and A-B. */
  readonly #next = new Map<string, number>();
  #attempts = 0;
  /** Ports since the last turn of the event loop. */
  #inSlice = 0;

  constructor(
    private readonly mappings: readonly PortMapping[],
    private readonly cancelled: () => boolean,
    private readonly sockets: ActivatedSockets | undefined,
  ) {}

  /** Opens all or none. Throws PortError. */
  async open(): Promise<Reserved[]> {
    try {
      for (const mapping of this.mappings) await this.#open(mapping);
      if (this.cancelled()) throw new PortError('the stack is ending');
      return this.#reserved;
    } catch (error) {
      for (const { fds, mapping } of this.#reserved) {
        for (const fd of fds) native().closeFd(fd);
        if (this.sockets) for (const one of singles([mapping])) await this.sockets.giveBack(one);
      }
      throw error;
    }
  }

  async #open(mapping: PortMapping): Promise<void> {
    const { count, host } = mapping;
    if (host.end !== undefined) {
      await this.#firstFree(mapping, host.end);
    } else if (host.port === 0) {
      for (const one of singles([mapping])) this.#chosen(await this.#bind(one));
    } else if (this.sockets?.has(mapping)) {
      for (const one of singles([mapping])) this.#reserved.push(await this.#exact(one));
    } else {
      // One entry for the range, which is opened in slices.
      const fds: number[] = [];
      this.#reserved.push({ fds, mapping });
      for (let offset = 0; offset < count; offset += SLICE) {
        fds.push(...(await this.#bind(part(mapping, offset, Math.min(SLICE, count - offset)))).fds);
      }
    }
  }

  #chosen(listeners: Listeners): void {
    this.#reserved.push(listeners);
    this.chosen.push(listeners.mapping.host.port);
  }

  /** One port that systemd may have opened. */
  async #exact(mapping: PortMapping): Promise<Listeners> {
    const fd = await this.sockets?.take(mapping);
    return fd === undefined ? await this.#bind(mapping) : { fds: [fd], mapping };
  }

  async #firstFree(mapping: PortMapping, end: number): Promise<void> {
    const { ip, port: first } = mapping.host;
    const where = `${protocolName(mapping)} ${bracket(ip)}:${formatPorts(first, end - first + 1)}`;
    for (let port = this.#next.get(where) ?? first; port <= end; port++) {
      this.#next.set(where, port + 1);
      try {
        this.#chosen(await this.#bind({ ...mapping, host: { ip, port } }));
        return;
      } catch (error) {
        if (!(error instanceof PortBindError && error.errno === 'EADDRINUSE')) throw error;
      }
    }
    throw new PortBindError(
      'EADDRINUSE',
      `listen ${where}: all ports of the range are in use; give a larger one, or another address`,
    );
  }

  /** Throws PortError. */
  async #bind(mapping: PortMapping): Promise<Listeners> {
    await this.#step(mapping.count);
    try {
      return openListeners(mapping);
    } catch (error) {
      if (!(error instanceof PortBindError) || mapping.host.port === 0) throw error;
      // Of the port that failed, not of the others that were tried with it.
      const hint = this.sockets?.hintFor(part(mapping, error.offset)) ?? '';
      if (hint === '') throw error;
      throw new PortBindError(error.errno, `${error.message}${hint}`);
    }
  }

  /** Before each attempt, which is for so many ports. Throws PortError. */
  async #step(count: number): Promise<void> {
    this.#attempts += count;
    if (this.#attempts > MAX_ATTEMPTS) {
      throw new PortError(
        `no free ports found after ${MAX_ATTEMPTS} attempts; publish fewer ports, or ranges with more free ones`,
      );
    }
    this.#inSlice += count;
    if (this.#inSlice < SLICE) return;
    this.#inSlice = 0;
    await setImmediate();
    if (this.cancelled()) throw new PortError('the stack is ending');
  }
}

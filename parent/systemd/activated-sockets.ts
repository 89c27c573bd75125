/**
 * The published sockets that systemd has opened. Each is the stack's own port until a container requests exactly its address
 * and port: then it is that container's, and the stack's again when the container has ended. So containers get ports below
 * 1024, and connections wait meanwhile.
 */
import { native } from '../../native/index.js';
import { type PortMapping, protocolName } from '../../protocol/ports/port-mapping.js';
import { bracket, plainAddress } from '../../protocol/ports/port-text.js';
import type { PortDriver } from '../port/driver.js';
import { PortBindError, UnknownPortError } from '../port/errors.js';
import { isUnspecified, socketType } from '../port/listen.js';
import type { ActivatedPort } from './activated-ports.js';

interface Entry extends ActivatedPort {
  /** Id of the stack's own port; undefined while it has none. */
  id?: number | undefined;
  /** Whether it was published before a container got it: the user may have removed it. */
  wasPublished: boolean;
  /** Whether a container has it. */
  taken: boolean;
}

export class ActivatedSockets {
  readonly #entries = new Map<string, Entry>();
  #closed = false;

  /** Takes over the descriptors. */
  constructor(
    private readonly driver: PortDriver,
    ports: readonly ActivatedPort[],
  ) {
    for (const port of ports) this.#entries.set(keyOf(port.mapping), { ...port, wasPublished: false, taken: false });
  }

  /** Publishes them as ports of the stack. Throws PortError. */
  async publish(): Promise<void> {
    for (const entry of this.#entries.values()) await this.#publish(entry);
  }

  /** Whether systemd has opened any of these ports. */
  has(mapping: PortMapping): boolean {
    const first = mapping.host.port;
    return [...this.#entries.values()].some(({ mapping: { host } }) => {
      if (host.port < first || host.port >= first + mapping.count) return false;
      return this.#entries.has(keyOf({ ...mapping, host: { ...mapping.host, port: host.port } }));
    });
  }

  /**
   * The socket for a container's port, which the container has until giveBack(); the caller owns the descriptor. Undefined
   * where systemd has not opened this port. Throws PortBindError if another container has it.
   */
  async take(mapping: PortMapping): Promise<number | undefined> {
    const entry = this.#entries.get(keyOf(mapping));
    if (!entry || this.#closed) return undefined;
    if (entry.taken) {
      throw new PortBindError(
        'EADDRINUSE',
        `listen ${textOf(mapping)}: bind: address already in use; another container has this socket of systemd; hint: stop that one, or choose another port or address`,
      );
    }
    entry.taken = true;
    const { id } = entry;
    entry.id = undefined;
    entry.wasPublished = id !== undefined && (await this.#remove(id));
    return native().duplicateFd(entry.fd);
  }

  /** Makes it a port of the stack again. Does nothing for other ports. Throws PortError. */
  async giveBack(mapping: PortMapping): Promise<void> {
    const entry = this.#entries.get(keyOf(mapping));
    if (!entry?.taken) return;
    entry.taken = false;
    if (entry.wasPublished) await this.#publish(entry);
  }

  /**
   * End of an error message about a port that systemd has opened on another address: `; hint: …`; "" if there is none.
   */
  hintFor(mapping: PortMapping): string {
    const others = [...this.#entries.values()]
      .map((entry) => entry.mapping)
      .filter((other) => socketType(other) === socketType(mapping))
      .filter(({ host: { port } }) => port >= mapping.host.port && port < mapping.host.port + mapping.count)
      .map(addressOf);
    return others.length === 0
      ? ''
      : `; hint: systemd has opened ${others.join(' and ')} for the stack; publish just that`;
  }

  close(): void {
    this.#closed = true;
    for (const { fd } of this.#entries.values()) native().closeFd(fd);
    this.#entries.clear();
  }

  async #publish(entry: Entry): Promise<void> {
    if (this.#closed) return;
    const port = await this.driver.adopt?.([native().duplicateFd(entry.fd)], entry.mapping);
    entry.id = port?.id;
  }

  /** Resolves with false where the user has already removed it. */
  async #remove(id: number): Promise<boolean> {
    try {
      await this.driver.remove(id);
      return true;
    } catch (error) {
      if (error instanceof UnknownPortError) return false;
      throw error;
    }
  }
}

/** The same key for every spelling of the address. */
function keyOf(mapping: PortMapping): string {
  const ip = plainAddress(mapping.host.ip);
  return `${protocolName(mapping)} ${isUnspecified(ip) ? '' : ip} ${mapping.host.port}`;
}

/** In the syntax of -p. */
function addressOf({ family, host: { ip, port } }: PortMapping): string {
  if (!isUnspecified(ip)) return `${bracket(ip)}:${port}`;
  if (family === 4) return `0.0.0.0:${port}`;
  return family === 6 ? `[::]:${port}` : `${port} on every address`;
}

function textOf(mapping: PortMapping): string {
  return `${protocolName(mapping)} ${bracket(mapping.host.ip)}:${mapping.host.port}`;
}

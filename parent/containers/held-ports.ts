/**
 * Published ports of containers, by owner: opened before anything else of a container is made, given their target when
 * it has an address, and closed together. The agent that asks for them may die and be replaced; they stay.
 */
import { native } from '../../native/index.js';
import type { PortRange } from '../../protocol/messages.js';
import { bracket } from '../../protocol/port-text.js';
import type { PortSpec } from '../../protocol/ports.js';
import type { PortDriver } from '../port/driver.js';
import { PortBindError, PortError, UnknownPortError } from '../port/errors.js';
import { bindListener } from '../port/listen.js';

interface Held {
  spec: PortSpec;
  /** Until it is activated. */
  fd?: number;
  /** From then on. */
  id?: number;
}

export class HeldPorts {
  readonly #owners = new Map<string, Held[]>();

  constructor(private readonly driver: PortDriver | undefined) {}

  /**
   * Opens all or none; what the owner held is closed first. Returns the host's ports, in the order of the ranges.
   * Throws PortError.
   */
  async reserve(owner: string, ranges: readonly PortRange[]): Promise<number[]> {
    await this.release(owner);
    if (ranges.length === 0) return [];
    if (!this.driver?.adopt) {
      throw new PortError(
        `the port driver ${this.driver?.info.driver ?? 'none'} cannot publish ports of containers; start the stack with --port-driver=builtin`,
      );
    }
    const held: Held[] = [];
    try {
      for (const range of ranges) held.push(...open(range));
    } catch (error) {
      for (const { fd } of held) if (fd !== undefined) native().closeFd(fd);
      throw error;
    }
    this.#owners.set(owner, held);
    return held.map(({ spec }) => spec.parentPort);
  }

  /** Does nothing for those that are active. Throws PortError. */
  async activate(owner: string, childIP: string): Promise<void> {
    for (const held of this.#owners.get(owner) ?? []) {
      const { fd, spec } = held;
      if (fd === undefined) continue;
      delete held.fd;
      const status = await this.driver?.adopt?.(fd, childIP === '' ? spec : { ...spec, childIP });
      if (status) held.id = status.id;
    }
  }

  /** Resolves when they are free again. */
  async release(owner: string): Promise<void> {
    const held = this.#owners.get(owner) ?? [];
    this.#owners.delete(owner);
    await Promise.all(
      held.map(async ({ fd, id }) => {
        if (fd !== undefined) native().closeFd(fd);
        if (id === undefined) return;
        await this.driver?.remove(id).catch((error: unknown) => {
          // The user has removed it through the API.
          if (!(error instanceof UnknownPortError)) throw error;
        });
      }),
    );
  }

  owners(): string[] {
    return [...this.#owners.keys()];
  }

  async close(): Promise<void> {
    for (const owner of this.owners()) await this.release(owner);
  }
}

/** Throws PortBindError. */
function open(range: PortRange): Held[] {
  const held: Held[] = [];
  try {
    for (let offset = 0; offset < range.count; offset++) held.push(openOne(range, offset));
  } catch (error) {
    for (const { fd } of held) if (fd !== undefined) native().closeFd(fd);
    throw error;
  }
  return held;
}

/** Throws PortBindError. */
function openOne({ protocol, hostIP, hostPort, hostPortEnd, containerPort }: PortRange, offset: number): Held {
  const first = hostPort === 0 ? 0 : hostPort + offset;
  const last = hostPortEnd ?? first;
  for (let parentPort = first; ; parentPort++) {
    // An unspecified address stands for its own family; every address is "".
    const proto = `${protocol}${hostIP === '0.0.0.0' ? '4' : hostIP === '::' ? '6' : ''}`;
    const spec = { proto, ...(hostIP && { parentIP: hostIP }), parentPort, childPort: containerPort + offset };
    try {
      const { fd, port } = bindListener(spec);
      return { fd, spec: { ...spec, parentPort: port } };
    } catch (error) {
      const taken = error instanceof PortBindError && error.code === 'EADDRINUSE';
      if (!taken || (parentPort >= last && hostPortEnd === undefined)) throw error;
      if (parentPort >= last) {
        throw new PortBindError(
          error.code,
          `listen ${proto} ${bracket(hostIP)}:${hostPort}-${hostPortEnd}: all ports of the range are in use; give a larger one, or another address`,
        );
      }
    }
  }
}

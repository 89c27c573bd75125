/** Assigns addresses of networks to containers like the CNI plugin host-local, with which it can share a directory. */

import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { shortId } from '../../../../protocol/containers/short-id.js';
import { errnoName, errorText } from '../../../../protocol/errors/error-text.js';
import { includes, type Subnet } from '../../../../protocol/net/cidr.js';
import type { IpamRange } from '../../../../protocol/net/host-local.js';
import { formatIP } from '../../../../protocol/net/ip.js';
import { quote } from '../../../../protocol/ports/port-text.js';
import { CNI_NAME } from '../../../../protocol/text/names.js';
import type { Sweep, Sweepable } from '../../storage/sweepable.js';
import type { AttachmentId } from '../cni/executor/types.js';
import { AddressChooser, assignRequested, isSame, owns, parseRange } from './address-chooser.js';
import { IpamError, type KnownOwner, Reservations, type Reserved } from './reservations.js';

export { IpamError };

export interface ReserveOptions extends AttachmentId {
  network: string;
  /** The interface gets an address from each set. */
  rangeSets: readonly (readonly IpamRange[])[];
  /** Requested addresses, at most one from each set. */
  requested?: readonly string[];
  /** The container has one interface on the network: addresses of another interface are transferred to this one. */
  oneInterface?: boolean;
}

/** With the keys of CNI results. */
export interface IpamAddress {
  /** In CIDR notation, with the subnet's prefix length. */
  address: string;
  gateway: string;
}

export interface Reservation extends AttachmentId {
  ip: string;
}

export interface IpamOptions {
  /** Name of a container for messages; the short id unless given. */
  nameOf?: (containerId: string) => string;
  /** Milliseconds to wait for other processes that change the reservations of the network; 10 s unless given. */
  lockTimeout?: number;
}

/** Names of devices according to the kernel, dev_valid_name(). */
const IFNAME = /^(?!\.{1,2}$)[^\s/:]{1,15}$/;

/** The addresses of all networks with reservations in one directory. */
export class Ipam implements Sweepable {
  readonly #lockTimeout: number;
  readonly #nameOf: (containerId: string) => string;
  readonly #owners = new Map<string, Map<string, KnownOwner>>();

  /** @param dataDir host-local's `dataDir`: it has a directory for each network. */
  constructor(
    readonly dataDir: string,
    { lockTimeout = 10_000, nameOf = (id) => shortId(id) }: IpamOptions = {},
  ) {
    this.#nameOf = nameOf;
    this.#lockTimeout = lockTimeout;
  }

  /**
   * Reserves an address from each range set for an interface, or none at all. The interface keeps its addresses: unlike with
   * host-local, a repeated reservation succeeds with the same addresses.
   * @throws IpamError also where a requested address is not available
   * @throws SubnetError where the ranges are invalid
   */
  async reserve(options: ReserveOptions): Promise<IpamAddress[]> {
    const { network, containerId, ifname, rangeSets, requested = [], oneInterface = false } = options;
    checkName('container ID', containerId, CNI_NAME);
    checkName('interface name', ifname, IFNAME);
    const sets = rangeSets.map((set) => set.map(parseRange));
    const wanted = assignRequested(network, sets, requested);
    const reservations = this.#of(network);
    return await reservations.locked(this.#lockTimeout, () => {
      const found = reservations.read();
      if (oneInterface) {
        for (const reserved of found) {
          if (reserved.owner?.containerId !== containerId || reserved.owner.ifname === ifname) continue;
          reserved.owner = { containerId, ifname };
          reservations.rewrite(reserved, reserved.owner);
        }
      }
      const chooser = new AddressChooser(network, { containerId, ifname }, found, this.#nameOf);
      // Nothing is written before an address from every set is found.
      const choices = sets.map((set, index) => chooser.choose(set, wanted.get(index), reservations.last(index)));
      const added: Reserved[] = [];
      try {
        for (const [index, { address, isNew }] of choices.entries()) {
          if (!isNew) continue;
          for (const other of found) if (isSame(other.address, address)) reservations.remove(other);
          added.push(reservations.add(address, { containerId, ifname }));
          reservations.setLast(index, address);
        }
      } catch (error) {
        for (const reserved of added) reservations.remove(reserved);
        throw error;
      }
      return choices.map(({ range, address }) => ({
        address: `${formatIP(address)}/${range.subnet.prefix}`,
        gateway: formatIP(range.gateway),
      }));
    });
  }

  /**
   * Releases the addresses of an interface, or of all interfaces of a container, and resolves with them. Succeeds where there
   * are none.
   * @throws IpamError
   */
  async release(network: string, containerId: string, ifname?: string): Promise<string[]> {
    const reservations = this.#of(network);
    if (!reservations.exist()) return [];
    return await reservations.locked(this.#lockTimeout, () => {
      const released = reservations.read().filter(({ owner }) => owner && owns(owner, containerId, ifname));
      for (const reserved of released) reservations.remove(reserved);
      return released.map(({ address }) => formatIP(address));
    });
  }

  /**
   * The reservations of a network, sorted by address; none for an unknown network.
   * @throws IpamError
   */
  async list(network: string): Promise<Reservation[]> {
    return this.#of(network)
      .read()
      .flatMap(({ address, owner }) => (owner ? [{ ip: formatIP(address), ...owner }] : []));
  }

  /**
   * Drops the reservations outside of the subnets, which are the current ones of the network.
   * @throws IpamError
   */
  async keep(network: string, subnets: readonly Subnet[]): Promise<void> {
    const reservations = this.#of(network);
    if (!reservations.exist()) return;
    await reservations.locked(this.#lockTimeout, () => {
      for (const reserved of reservations.read()) {
        if (!subnets.some((subnet) => includes(subnet, reserved.address))) reservations.remove(reserved);
      }
    });
  }

  /** Drops all reservations of a removed network. */
  async forget(network: string): Promise<void> {
    this.#owners.delete(network);
    await rm(join(this.dataDir, network), { recursive: true, force: true });
  }

  /**
   * Finds addresses that no container holds. Other CNI runtimes may share the directory, so only ids in the form of this
   * engine's are considered.
   */
  async sweep({ containers, report }: Sweep): Promise<void> {
    for (const network of await this.networks()) {
      for (const { ip, containerId, ifname } of await this.list(network)) {
        if (!/^[0-9a-f]{64}$/.test(containerId) || containers.isRecorded(containerId)) continue;
        if (await containers.isLive(containerId)) continue;
        await report('reservation', `${ip} on ${network} of ${shortId(containerId)}, which does not exist`, () =>
          this.release(network, containerId, ifname),
        );
      }
    }
  }

  /**
   * The networks that have or had reservations, sorted by name.
   * @throws IpamError
   */
  async networks(): Promise<string[]> {
    try {
      const entries = await readdir(this.dataDir, { withFileTypes: true });
      return entries
        .filter((entry) => entry.isDirectory() && CNI_NAME.test(entry.name))
        .map((entry) => entry.name)
        .sort();
    } catch (error) {
      if (errnoName(error) === 'ENOENT') return [];
      throw new IpamError(`cannot list the networks with reserved addresses: ${errorText(error)}`);
    }
  }

  #of(network: string): Reservations {
    checkName('network name', network, CNI_NAME);
    const owners = this.#owners.get(network) ?? new Map();
    this.#owners.set(network, owners);
    return new Reservations(network, join(this.dataDir, network), owners);
  }
}

/** @throws IpamError */
function checkName(what: string, name: string, pattern: RegExp): void {
  if (!pattern.test(name)) throw new IpamError(`invalid ${what} ${quote(name)}; it must match ${pattern.source}`);
}

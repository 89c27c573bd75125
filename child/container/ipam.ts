/** Gives the addresses of networks to containers, as the CNI plugin host-local does; both can share a directory. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, errorText } from '../../protocol/error-text.js';
import { quote } from '../../protocol/port-text.js';
import type { AttachmentId } from './cni/types.js';
import { compareIPs, formatIP, type IPAddress, parseIP } from './ip-address.js';
import { IpamError, Reservations, type Reserved } from './reservations.js';
import {
  addressIn,
  firstHost,
  formatSubnet,
  includes,
  lastHost,
  parseSubnet,
  type Subnet,
  SubnetError,
} from './subnets.js';

export { IpamError };

/** Addresses to give away, by the names of host-local's configuration. */
export interface IpamRange {
  /** In CIDR notation. */
  subnet: string;
  /** The first address for hosts unless given. */
  gateway?: string;
  /** The first address for hosts unless given. */
  rangeStart?: string;
  /** Included; the last address for hosts unless given. */
  rangeEnd?: string;
}

export interface ReserveOptions extends AttachmentId {
  network: string;
  /** The interface gets an address of each set. */
  rangeSets: readonly (readonly IpamRange[])[];
  /** Addresses that it has to be, at most one of each set. */
  requested?: readonly string[];
  /** The container is on the network once: what it has there by another interface's name becomes this one's. */
  oneInterface?: boolean;
}

/** By the names of CNI's results. */
export interface IpamAddress {
  /** In CIDR notation, with the subnet's prefix length. */
  address: string;
  gateway: string;
}

export interface Reservation extends AttachmentId {
  ip: string;
}

export interface IpamOptions {
  /** Milliseconds to wait for others who change the reservations of the network; 10 s unless given. */
  lockTimeout?: number;
}

interface Range {
  subnet: Subnet;
  gateway: IPAddress;
  start: IPAddress;
  end: IPAddress;
}

/** The address that a range set gives. */
interface Pick {
  range: Range;
  address: IPAddress;
  /** False where the interface has it already. */
  isNew: boolean;
}

/** An address that has to be given, and the range that it is in. */
type Request = Omit<Pick, 'isNew'>;

/** What the CNI specification allows as names of networks and containers, and what is safe in paths and files. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
/** What the kernel allows, dev_valid_name(). */
const IFNAME = /^(?!\.{1,2}$)[^\s/:]{1,15}$/;

/** The addresses of all networks that keep their reservations in a directory. */
export class Ipam {
  readonly #lockTimeout: number;

  /** @param dataDir host-local's `dataDir`: it has a directory for each network. */
  constructor(
    readonly dataDir: string,
    { lockTimeout = 10_000 }: IpamOptions = {},
  ) {
    this.#lockTimeout = lockTimeout;
  }

  /**
   * Reserves an address of each range set for an interface, or none at all. What the interface has it keeps: other than
   * with host-local, to reserve again is no error and gives the same addresses.
   * @throws IpamError also where a requested address cannot be had
   * @throws SubnetError where the ranges make no sense
   */
  async reserve(options: ReserveOptions): Promise<IpamAddress[]> {
    const { network, containerId, ifname, rangeSets, requested = [], oneInterface = false } = options;
    checkName('container ID', containerId, NAME);
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
      const picker = new Picker(network, { containerId, ifname }, found);
      // Nothing is written before there is an address of every set.
      const picks = sets.map((set, index) => picker.pick(set, wanted.get(index), reservations.last(index)));
      const added: Reserved[] = [];
      try {
        for (const [index, { address, isNew }] of picks.entries()) {
          if (!isNew) continue;
          for (const remains of found) if (isSame(remains.address, address)) reservations.remove(remains);
          added.push(reservations.add(address, { containerId, ifname }));
          reservations.setLast(index, address);
        }
      } catch (error) {
        for (const reserved of added) reservations.remove(reserved);
        throw error;
      }
      return picks.map(({ range, address }) => ({
        address: `${formatIP(address)}/${range.subnet.prefix}`,
        gateway: formatIP(range.gateway),
      }));
    });
  }

  /**
   * Releases what an interface has, or all interfaces of a container, and says which addresses that were. It is no
   * error that there are none.
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
   * The reservations of a network, by address; none where it is not known.
   * @throws IpamError
   */
  async list(network: string): Promise<Reservation[]> {
    return this.#of(network)
      .read()
      .flatMap(({ address, owner }) => (owner ? [{ ip: formatIP(address), ...owner }] : []));
  }

  /** Drops all that is known of a network, which is removed. */
  async forget(network: string): Promise<void> {
    await rm(join(this.dataDir, network), { recursive: true, force: true });
  }

  /**
   * The networks that have or had reservations, by name.
   * @throws IpamError
   */
  async networks(): Promise<string[]> {
    try {
      const entries = await readdir(this.dataDir, { withFileTypes: true });
      return entries
        .filter((entry) => entry.isDirectory() && NAME.test(entry.name))
        .map((entry) => entry.name)
        .sort();
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return [];
      throw new IpamError(`cannot list the networks with reserved addresses: ${errorText(error)}`);
    }
  }

  #of(network: string): Reservations {
    checkName('network name', network, NAME);
    return new Reservations(network, join(this.dataDir, network));
  }
}

/** Picks the addresses of one interface, given all that are reserved. */
class Picker {
  readonly #taken = new Map<string, AttachmentId>();
  readonly #held: IPAddress[] = [];

  constructor(
    readonly network: string,
    readonly attachment: AttachmentId,
    found: readonly Reserved[],
  ) {
    for (const { address, owner } of found) {
      // An empty file is what a crash of host-local left: it writes under the lock, which is ours now.
      if (!owner) continue;
      this.#taken.set(formatIP(address), owner);
      if (owns(owner, attachment.containerId, attachment.ifname)) this.#held.push(address);
    }
  }

  /**
   * @param last the address of the set that was reserved last
   * @throws IpamError
   */
  pick(set: readonly Range[], request: Request | undefined, last: IPAddress | undefined): Pick {
    const held = this.#held.flatMap((address): Pick[] => {
      const range = set.find((candidate) => gives(candidate, address));
      return range ? [{ range, address, isNew: false }] : [];
    });
    const pick = request ? this.#requested(request, held) : (held[0] ?? this.#next(set, last));
    // Range sets should not overlap; where they do, an address is given only once.
    this.#taken.set(formatIP(pick.address), this.attachment);
    return pick;
  }

  #requested(request: Request, held: readonly Pick[]): Pick {
    const text = formatIP(request.address);
    const same = held.find(({ address }) => isSame(address, request.address));
    if (same) return same;
    const { containerId, ifname } = this.attachment;
    if (held[0]) {
      throw new IpamError(
        `requested IP address ${text} cannot be given: ${ifname} of container ${containerId} has ${formatIP(held[0].address)} in network ${this.network}, release that first`,
      );
    }
    const owner = this.#taken.get(text);
    if (owner) {
      throw new IpamError(
        `requested IP address ${text} is not available in network ${this.network}: container ${owner.containerId} has it, choose another`,
      );
    }
    return { ...request, isNew: true };
  }

  #next(set: readonly Range[], last: IPAddress | undefined): Pick {
    for (const { range, address } of roundRobin(set, last)) {
      if (gives(range, address) && !this.#taken.has(formatIP(address))) return { range, address, isNew: true };
    }
    throw new IpamError(
      `no IP addresses available in ${describe(set)} of network ${this.network}; remove containers, or use a larger subnet`,
    );
  }
}

/** host-local's order: on from the address that was reserved last, so that one that was released rests for a while. */
function* roundRobin(set: readonly Range[], last: IPAddress | undefined): Generator<Request> {
  function* all(range: Range, from: bigint, to: bigint): Generator<Request> {
    const { family } = range.subnet;
    for (let value = from; value <= to; value++) yield { range, address: { family, value } };
  }
  const at = last ? set.findIndex((range) => inRange(range, last)) : -1;
  const current = set[at];
  if (current && last) yield* all(current, last.value + 1n, current.end.value);
  for (const range of [...set.slice(at + 1), ...set.slice(0, Math.max(at, 0))]) {
    yield* all(range, range.start.value, range.end.value);
  }
  if (current && last) yield* all(current, current.start.value, last.value);
}

/** @throws SubnetError */
function parseRange({ subnet: text, gateway, rangeStart, rangeEnd }: IpamRange): Range {
  const subnet = parseSubnet(text);
  const range = {
    subnet,
    gateway: addressIn(subnet, gateway ?? firstHost(text), 'gateway'),
    start: addressIn(subnet, rangeStart ?? firstHost(text), 'start of the range'),
    end: addressIn(subnet, rangeEnd ?? lastHost(text), 'end of the range'),
  };
  if (range.start.value > range.end.value) {
    throw new SubnetError(`the range from ${formatIP(range.start)} to ${formatIP(range.end)} runs backwards`);
  }
  return range;
}

/**
 * Which set has to give which of the requested addresses.
 * @throws IpamError
 */
function assignRequested(
  network: string,
  sets: readonly (readonly Range[])[],
  requested: readonly string[],
): Map<number, Request> {
  const assigned = new Map<number, Request>();
  for (const text of requested) {
    const address = parseIP(text);
    if (!address) throw new IpamError(`requested IP address ${quote(text)} is not an IP address`);
    const index = sets.findIndex((set) => set.some((range) => gives(range, address)));
    const range = sets[index]?.find((candidate) => gives(candidate, address));
    if (!range) throw new IpamError(`requested IP address ${text} ${whyNot(sets.flat(), address, network)}`);
    const other = assigned.get(index);
    if (other && !isSame(other.address, address)) {
      throw new IpamError(
        `requested IP addresses ${formatIP(other.address)} and ${text} are of the same range set of network ${network}, which gives one only`,
      );
    }
    assigned.set(index, { range, address });
  }
  return assigned;
}

/** Why no range gives an address. */
function whyNot(ranges: readonly Range[], address: IPAddress, network: string): string {
  const { subnet, gateway } = ranges.find((range) => includes(range.subnet, address)) ?? {};
  if (!subnet || !gateway) return `is not in network ${network}, which has ${describe(ranges)}`;
  if (isSame(gateway, address)) return `is the gateway of network ${network}, choose another`;
  if (address.value === subnet.first) return `is the network address of ${formatSubnet(subnet)}, choose another`;
  if (isBroadcast(subnet, address)) return `is the broadcast address of ${formatSubnet(subnet)}, choose another`;
  return `is not for containers of network ${network}, which get ${describe(ranges)}`;
}

/** Whether containers can have the address. */
function gives(range: Range, address: IPAddress): boolean {
  return (
    inRange(range, address) &&
    !isSame(range.gateway, address) &&
    address.value !== range.subnet.first &&
    !isBroadcast(range.subnet, address)
  );
}

function inRange({ start, end }: Range, { family, value }: IPAddress): boolean {
  return family === start.family && start.value <= value && value <= end.value;
}

/** IPv6 has none. */
function isBroadcast(subnet: Subnet, address: IPAddress): boolean {
  return subnet.family === 4 && address.value === subnet.last;
}

function isSame(a: IPAddress, b: IPAddress): boolean {
  return compareIPs(a, b) === 0;
}

/** @param ifname any interface of the container unless given */
function owns(owner: AttachmentId, containerId: string, ifname?: string): boolean {
  // Files of old versions of host-local have no interface, and are for any.
  return owner.containerId === containerId && (ifname === undefined || ['', ifname].includes(owner.ifname));
}

function describe(ranges: readonly Range[]): string {
  return ranges.map(({ start, end }) => `${formatIP(start)}-${formatIP(end)}`).join(', ');
}

/** @throws IpamError */
function checkName(what: string, name: string, pattern: RegExp): void {
  if (!pattern.test(name)) throw new IpamError(`invalid ${what} ${quote(name)}; it must match ${pattern.source}`);
}

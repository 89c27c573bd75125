/** Chooses addresses from ranges in host-local's order, around those that are reserved. */

import { formatSubnet, includes, type Subnet } from '../../../../protocol/net/cidr.js';
import type { IpamRange } from '../../../../protocol/net/host-local.js';
import { compareIPs, formatIP, type IPAddress, parseIP } from '../../../../protocol/net/ip.js';
import { quote } from '../../../../protocol/ports/port-text.js';
import type { AttachmentId } from '../cni/executor/types.js';
import { IpamError, type Reserved } from './reservations.js';
import { addressIn, firstHost, lastHost, parseSubnet, SubnetError } from './subnets.js';

export interface Range {
  subnet: Subnet;
  gateway: IPAddress;
  start: IPAddress;
  end: IPAddress;
}

/** The address chosen from a range set. */
export interface Choice {
  range: Range;
  address: IPAddress;
  /** False where the interface already has it. */
  isNew: boolean;
}

/** A requested address and its range. */
export type Request = Omit<Choice, 'isNew'>;

/** Chooses the addresses of one interface, given all that are reserved. */
export class AddressChooser {
  readonly #owners = new Map<string, AttachmentId>();
  readonly #held: IPAddress[] = [];

  constructor(
    readonly network: string,
    readonly attachment: AttachmentId,
    found: readonly Reserved[],
    private readonly nameOf: (containerId: string) => string,
  ) {
    for (const { address, owner } of found) {
      // An empty file was left by a crash of host-local: it writes under the lock, which we hold.
      if (!owner) continue;
      this.#owners.set(formatIP(address), owner);
      if (owns(owner, attachment.containerId, attachment.ifname)) this.#held.push(address);
    }
  }

  /**
   * @param last the address of the set that was reserved last
   * @throws IpamError
   */
  choose(set: readonly Range[], request: Request | undefined, last: IPAddress | undefined): Choice {
    const held = this.#held.flatMap((address): Choice[] => {
      const range = set.find((candidate) => isAssignable(candidate, address));
      return range ? [{ range, address, isNew: false }] : [];
    });
    const choice = request ? this.#requested(request, held) : (held[0] ?? this.#next(set, last));
    // Range sets should not overlap; where they do, an address is assigned only once.
    this.#owners.set(formatIP(choice.address), this.attachment);
    return choice;
  }

  #requested(request: Request, held: readonly Choice[]): Choice {
    const text = formatIP(request.address);
    const same = held.find(({ address }) => isSame(address, request.address));
    if (same) return same;
    const { containerId, ifname } = this.attachment;
    if (held[0]) {
      throw new IpamError(
        `requested IP address ${text} cannot be assigned: ${ifname} of container ${this.nameOf(containerId)} has ${formatIP(held[0].address)} in network ${this.network}, release that first`,
      );
    }
    const owner = this.#owners.get(text);
    if (owner) {
      throw new IpamError(
        `requested IP address ${text} is not available in network ${this.network}: container ${this.nameOf(owner.containerId)} has it, choose another`,
      );
    }
    return { ...request, isNew: true };
  }

  #next(set: readonly Range[], last: IPAddress | undefined): Choice {
    for (const { range, address } of roundRobin(set, last)) {
      if (isAssignable(range, address) && !this.#owners.has(formatIP(address))) return { range, address, isNew: true };
    }
    throw new IpamError(
      `no IP addresses available in ${describe(set)} of network ${this.network}; remove containers, or use a larger subnet`,
    );
  }
}

/** host-local's order: from the last reserved address on, so that a released one is not reused at once. */
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
export function parseRange({ subnet: text, gateway, rangeStart, rangeEnd }: IpamRange): Range {
  const subnet = parseSubnet(text);
  const range = {
    subnet,
    gateway: addressIn(subnet, gateway ?? firstHost(text), 'gateway'),
    start: addressIn(subnet, rangeStart ?? firstHost(text), 'start of the range'),
    end: addressIn(subnet, rangeEnd ?? lastHost(text), 'end of the range'),
  };
  if (range.start.value > range.end.value) {
    throw new SubnetError(`the range from ${formatIP(range.start)} to ${formatIP(range.end)} is reversed`);
  }
  return range;
}

/**
 * Assigns the requested addresses to the range sets that contain them.
 * @throws IpamError
 */
export function assignRequested(
  network: string,
  sets: readonly (readonly Range[])[],
  requested: readonly string[],
): Map<number, Request> {
  const assigned = new Map<number, Request>();
  for (const text of requested) {
    const address = parseIP(text);
    if (!address) throw new IpamError(`requested IP address ${quote(text)} is not an IP address`);
    const index = sets.findIndex((set) => set.some((range) => isAssignable(range, address)));
    const range = sets[index]?.find((candidate) => isAssignable(candidate, address));
    if (!range) throw new IpamError(`requested IP address ${text} ${whyNot(sets.flat(), address, network)}`);
    const other = assigned.get(index);
    if (other && !isSame(other.address, address)) {
      throw new IpamError(
        `requested IP addresses ${formatIP(other.address)} and ${text} are of the same range set of network ${network}, which assigns only one`,
      );
    }
    assigned.set(index, { range, address });
  }
  return assigned;
}

/** Why no range contains an address for containers. */
function whyNot(ranges: readonly Range[], address: IPAddress, network: string): string {
  const { subnet, gateway } = ranges.find((range) => includes(range.subnet, address)) ?? {};
  if (!subnet || !gateway) return `is not in network ${network}, which has ${describe(ranges)}`;
  if (isSame(gateway, address)) return `is the gateway of network ${network}, choose another`;
  if (address.value === subnet.first) return `is the network address of ${formatSubnet(subnet)}, choose another`;
  if (isBroadcast(subnet, address)) return `is the broadcast address of ${formatSubnet(subnet)}, choose another`;
  return `is not for containers of network ${network}, which get ${describe(ranges)}`;
}

/** Whether the address is available to containers. */
function isAssignable(range: Range, address: IPAddress): boolean {
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

/** IPv6 has no broadcast addresses. */
function isBroadcast(subnet: Subnet, address: IPAddress): boolean {
  return subnet.family === 4 && address.value === subnet.last;
}

export function isSame(a: IPAddress, b: IPAddress): boolean {
  return compareIPs(a, b) === 0;
}

/** @param ifname any interface of the container unless given */
export function owns(owner: AttachmentId, containerId: string, ifname?: string): boolean {
  // Files of old versions of host-local contain no interface, and match any.
  return owner.containerId === containerId && (ifname === undefined || ['', ifname].includes(owner.ifname));
}

function describe(ranges: readonly Range[]): string {
  return ranges.map(({ start, end }) => `${formatIP(start)}-${formatIP(end)}`).join(', ');
}

/**
 * Addresses of containers, in the files of the CNI plugin host-local, so that both can give addresses of one network:
 *
 *   <dataDir>/<network>/<ip>                 CONTAINER-ID CR LF INTERFACE, for each address that is taken
 *   <dataDir>/<network>/last_reserved_ip.N   the last one that was given from range set N
 *   <dataDir>/<network>/lock                 held (flock(2)) by whoever looks for a free one
 *
 * Unlike host-local we give an attachment the address again that it has, and never a second one. A file appears with its
 * content, so that a crash leaves none that is empty; one that host-local left so belongs to nobody.
 */
import { link, mkdir, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { native } from '../../native/index.js';
import { ConflictError, codeOf } from './errors.js';
import { namesIn, readText, writeWhole } from './files.js';
import { canonical, contains, firstHost, isV6, lastHost, prefixLength, toAddress, toNumber } from './subnets.js';

/** No address can be given, or not that one. */
export class IpamError extends ConflictError {
  override name = 'IpamError';
}

/** A range of host-local's configuration. */
export interface Range {
  subnet: string;
  gateway?: string | undefined;
  rangeStart?: string | undefined;
  rangeEnd?: string | undefined;
}

export interface Reservation {
  ip: string;
  containerId: string;
  ifname: string;
}

export interface ReserveRequest {
  network: string;
  containerId: string;
  ifname: string;
  /** An address is given of each. */
  rangeSets: readonly (readonly Range[])[];
  /** At most one for each range set. */
  requested?: readonly string[];
}

/** In CIDR notation, and the gateway of its subnet. */
export interface Lease {
  address: string;
  gateway: string;
}

/** How long somebody else may hold the lock, in ms. */
const LOCK_TIMEOUT = 10_000;
let counter = 0;

export class Ipam {
  constructor(readonly dataDir: string) {}

  /** Throws IpamError; then nothing has been taken that was not held before. */
  async reserve(request: ReserveRequest): Promise<Lease[]> {
    const { network, containerId, ifname, rangeSets, requested = [] } = request;
    return this.#locked(network, async () => {
      const taken = new Map((await this.list(network)).map((entry) => [canonical(entry.ip), entry]));
      const mine = [...taken.values()].filter((entry) => entry.containerId === containerId && entry.ifname === ifname);
      const added: string[] = [];
      try {
        const leases: Lease[] = [];
        for (const [index, ranges] of rangeSets.entries()) {
          const wanted = requested.map(canonical).find((ip) => ranges.some(({ subnet }) => contains(subnet, ip)));
          const held = mine.find(({ ip }) => ranges.some(({ subnet }) => contains(subnet, ip)));
          if (held && wanted !== undefined && canonical(held.ip) !== wanted) {
            throw new IpamError(`${wanted} was asked for, but ${ifname} of the container holds ${held.ip} on ${network} already`);
          }
          const ip = held ? canonical(held.ip) : await this.#choose(network, index, ranges, taken, wanted);
          if (!held) {
            await this.#take(network, ip, containerId, ifname);
            added.push(ip);
            if (wanted === undefined) await writeWhole(this.#file(network, `last_reserved_ip.${index}`), ip, 0o644);
          }
          const range = rangeOf(ranges, ip);
          leases.push({ address: `${ip}/${prefixLength(range.subnet)}`, gateway: gatewayOf(range) });
        }
        const strange = requested.find((ip) => !rangeSets.flat().some(({ subnet }) => contains(subnet, ip)));
        if (strange !== undefined) {
          const subnets = rangeSets.flat().map(({ subnet }) => subnet);
          throw new IpamError(
            `the address ${strange} is not in the network ${network}, which has ${[...new Set(subnets)].join(', ')}`,
          );
        }
        return leases;
      } catch (error) {
        for (const ip of added) await rm(this.#file(network, ip), { force: true });
        throw error;
      }
    });
  }

  /** Frees what the container holds there, of one interface or of all. */
  async release(network: string, containerId: string, ifname?: string): Promise<void> {
    for (const entry of await this.list(network)) {
      if (entry.containerId !== containerId || (ifname !== undefined && entry.ifname !== ifname)) continue;
      await rm(this.#file(network, entry.ip), { force: true });
    }
  }

  async list(network: string): Promise<Reservation[]> {
    const found: Reservation[] = [];
    for (const ip of await namesIn(join(this.dataDir, network))) {
      if (!/^[0-9a-fA-F:.]+$/.test(ip) || !/[.:]/.test(ip)) continue;
      const text = await readText(this.#file(network, ip));
      const [containerId = '', ifname = ''] = (text ?? '').trim().split(/\r?\n/);
      if (containerId !== '') found.push({ ip, containerId, ifname });
    }
    return found;
  }

  networks(): Promise<string[]> {
    return namesIn(this.dataDir);
  }

  /** Forgets a network that is removed. */
  async forget(network: string): Promise<void> {
    await rm(join(this.dataDir, network), { recursive: true, force: true });
  }

  /** Throws IpamError. */
  async #choose(
    network: string,
    index: number,
    ranges: readonly Range[],
    taken: ReadonlyMap<string, Reservation>,
    wanted: string | undefined,
  ): Promise<string> {
    if (wanted !== undefined) {
      const range = ranges.find((candidate) => inRange(candidate, wanted));
      const owner = taken.get(wanted);
      if (!range) throw new IpamError(`the address ${wanted} is not in the range that ${network} gives to containers`);
      if (canonical(gatewayOf(range)) === wanted) throw new IpamError(`the address ${wanted} is the gateway of ${network}`);
      if (owner) {
        throw new IpamError(`the address ${wanted} on ${network} belongs to the container ${owner.containerId.slice(0, 12)}`);
      }
      return wanted;
    }
    const last = (await readText(this.#file(network, `last_reserved_ip.${index}`)))?.trim();
    for (const ip of candidates(ranges, last)) if (!taken.has(ip)) return ip;
    const all = ranges.map((range) => `${startOf(range)}-${endOf(range)}`).join(', ');
    throw new IpamError(
      `no address is left on the network ${network} (${all}); remove containers that hold one, or use a larger subnet`,
    );
  }

  async #take(network: string, ip: string, containerId: string, ifname: string): Promise<void> {
    // host-local takes only names that are addresses for reservations.
    const temporary = this.#file(network, `${process.pid}.${counter++}.new`);
    await writeFile(temporary, `${containerId}\r\n${ifname}`, { mode: 0o644 });
    try {
      await link(temporary, this.#file(network, ip));
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
      // It was not in the list, so it is empty.
      await rm(this.#file(network, ip));
      await link(temporary, this.#file(network, ip));
    } finally {
      await rm(temporary, { force: true });
    }
  }

  /** Throws IpamError where another program holds the lock for too long. */
  async #locked<T>(network: string, task: () => Promise<T>): Promise<T> {
    await mkdir(join(this.dataDir, network), { recursive: true, mode: 0o755 });
    const lock = await open(this.#file(network, 'lock'), 'w', 0o644);
    try {
      const deadline = performance.now() + LOCK_TIMEOUT;
      while (!native().flock(lock.fd, true)) {
        if (performance.now() > deadline) {
          throw new IpamError(`${this.#file(network, 'lock')} is held by another program; see who has it: lslocks`);
        }
        await delay(1);
      }
      return await task();
    } finally {
      await lock.close();
    }
  }

  #file(network: string, name: string): string {
    return join(this.dataDir, network, name);
  }
}

function startOf(range: Range): string {
  return range.rangeStart ?? firstHost(range.subnet);
}

function endOf(range: Range): string {
  return range.rangeEnd ?? lastHost(range.subnet);
}

function gatewayOf(range: Range): string {
  return range.gateway ?? firstHost(range.subnet);
}

function inRange(range: Range, ip: string): boolean {
  const number = toNumber(ip);
  return contains(range.subnet, ip) && toNumber(startOf(range)) <= number && number <= toNumber(endOf(range));
}

/** The range that an address is in, or else one of the same subnet. */
function rangeOf(ranges: readonly Range[], ip: string): Range {
  const found = ranges.find((range) => inRange(range, ip)) ?? ranges.find(({ subnet }) => contains(subnet, ip));
  if (!found) throw new IpamError(`the address ${ip} is in no range`);
  return found;
}

/** All addresses of the ranges but gateways, beginning behind `last`, once around. */
function* candidates(ranges: readonly Range[], last: string | undefined): Generator<string> {
  const at = last === undefined ? -1 : ranges.findIndex((range) => inRange(range, last));
  const behind = last !== undefined && at >= 0 ? toNumber(last) + 1n : undefined;
  for (let turn = 0; turn <= ranges.length; turn++) {
    const range = ranges[(Math.max(at, 0) + turn) % ranges.length];
    if (!range) return;
    const v6 = isV6(range.subnet);
    const gateway = canonical(gatewayOf(range));
    const start = turn === 0 && behind !== undefined ? behind : toNumber(startOf(range));
    for (let number = start; number <= toNumber(endOf(range)); number++) {
      const ip = toAddress(number, v6);
      if (ip !== gateway) yield ip;
    }
  }
}

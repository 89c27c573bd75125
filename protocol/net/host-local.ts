/** The configuration of the CNI plugin host-local, which keeps the subnets of a network. */
import { isFields } from '../api/report-shapes.js';
import { parseCIDR } from './cidr.js';

/** Addresses to assign, with the keys of host-local's configuration. */
export interface IpamRange {
  /** In CIDR notation. */
  subnet: string;
  /** The first host address unless given. */
  gateway?: string;
  /** The first host address unless given. */
  rangeStart?: string;
  /** Inclusive; the last host address unless given. */
  rangeEnd?: string;
}

/**
 * Range sets of a plugin's `ipam`, in either form of host-local's configuration; none with another IPAM plugin. Invalid ranges
 * are omitted: host-local itself reports what is wrong with them when it is used.
 */
export function hostLocalRangeSets(ipam: unknown): IpamRange[][] {
  if (!isFields(ipam) || ipam.type !== 'host-local') return [];
  const sets: unknown[] = Array.isArray(ipam.ranges) ? ipam.ranges : [[ipam]];
  return sets.map((set) => (Array.isArray(set) ? set.filter(isRange) : [])).filter((set) => set.length > 0);
}

function isRange(value: unknown): value is IpamRange {
  if (!isFields(value) || typeof value.subnet !== 'string' || !parseCIDR(value.subnet)) return false;
  return [value.gateway, value.rangeStart, value.rangeEnd].every((ip) => ip === undefined || typeof ip === 'string');
}

/** Validates requests for new networks, except their subnets (see ipam/subnet-choice.ts). */
import type { NetworkRequest } from '../../../protocol/containers/types.js';
import { familyOf } from '../../../protocol/net/ip.js';
import { quote } from '../../../protocol/ports/port-text.js';
import { ContainerError } from '../errors.js';
import { OVERLAY_DRIVER } from './network.js';

/** A request without options. */
export const EMPTY_REQUEST: NetworkRequest = {
  name: '',
  driver: 'bridge',
  subnets: [],
  gateways: [],
  ipRanges: [],
  auxAddresses: [],
  ipv4: true,
  ipv6: false,
  force: false,
  internal: false,
  icc: true,
  egress: [],
  labels: {},
  options: {},
  ipamDriver: 'default',
};

const DRIVER_OPTIONS: Readonly<Record<string, readonly string[]>> = {
  bridge: ['mtu'],
  macvlan: ['mtu', 'parent', 'mode'],
};
const IPAM_DRIVERS = ['default', 'host-local', 'dhcp', 'static'];
const MACVLAN_MODES = ['bridge', 'vepa', 'private', 'passthru'];
/** Every link with IPv6 has to carry this (RFC 8200, section 5). */
const IPV6_MTU = 1280;
/** Names of network devices: at most 15 characters, no blank, `/` or `:` (dev_valid_name() in net/core/dev.c). */
const DEVICE = /^(?!\.{1,2}$)[^\s/:\0]{1,15}$/;

/** The settings of a request that its driver and IPAM driver allow. */
export interface NetworkSettings {
  /** In bytes; undefined for that of the stack's network. */
  mtu: number | undefined;
  /** Which IPAM plugin assigns the addresses. */
  ipam: 'host-local' | 'dhcp' | 'static';
  /** Of a macvlan network. */
  mode: string;
  parent: string | undefined;
}

/** Throws ContainerError. */
export function validateRequest(request: NetworkRequest): NetworkSettings {
  const { driver, options } = request;
  if (driver === OVERLAY_DRIVER) {
    throw new ContainerError(
      'overlay networks are created by a command of their own, since their hosts have to agree on them',
      400,
      {
        hint: `rootless-net overlay create ${request.name}`,
      },
    );
  }
  const known = DRIVER_OPTIONS[driver];
  if (!known)
    throw new ContainerError(`unsupported network driver ${JSON.stringify(driver)}; choose bridge or macvlan`);
  const unknown = Object.keys(options).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    throw new ContainerError(
      `unsupported ${driver} network option ${JSON.stringify(unknown)}; supported are ${known.join(', ')}`,
    );
  }
  if (!IPAM_DRIVERS.includes(request.ipamDriver)) {
    throw new ContainerError(
      `unsupported IPAM driver ${JSON.stringify(request.ipamDriver)}; choose one of ${IPAM_DRIVERS.join(', ')}`,
    );
  }
  const mtu = parseMtu(request);
  const ipam = ipamOf(request);
  return { mtu, ipam, ...(driver === 'macvlan' ? parseMacvlan(options) : { mode: '', parent: undefined }) };
}

/** Throws ContainerError. */
function parseMtu({ options, ipv6, subnets }: NetworkRequest): number | undefined {
  if (options.mtu === undefined) return undefined;
  const mtu = Number(options.mtu);
  if (!(Number.isInteger(mtu) && mtu >= 68 && mtu <= 65_535)) {
    throw new ContainerError(`invalid mtu ${options.mtu}: expected a number from 68 to 65535`);
  }
  if (mtu < IPV6_MTU && (ipv6 || subnets.some((subnet) => familyOf(subnet) === 6))) {
    throw new ContainerError(`the mtu ${mtu} is too small for IPv6, which needs ${IPV6_MTU}`);
  }
  return mtu;
}

/** Throws ContainerError. */
function ipamOf({ driver, ipamDriver, ipv4, subnets, gateways, ipRanges }: NetworkRequest): NetworkSettings['ipam'] {
  if (ipamDriver !== 'dhcp' && ipamDriver !== 'static') return 'host-local';
  if (ipamDriver === 'dhcp' && subnets.length + gateways.length + ipRanges.length > 0) {
    throw new ContainerError('the IPAM driver dhcp does not use subnets; omit --subnet, --gateway and --ip-range');
  }
  if (!ipv4) throw new ContainerError(`the IPAM driver ${ipamDriver} and --ipv4=false are mutually exclusive`);
  if (driver === 'bridge') {
    throw new ContainerError(`the network driver bridge requires the IPAM driver host-local, not ${ipamDriver}`);
  }
  return ipamDriver;
}

/** Throws ContainerError. */
function parseMacvlan({ mode = 'bridge', parent }: Record<string, string>): Pick<NetworkSettings, 'mode' | 'parent'> {
  if (!MACVLAN_MODES.includes(mode)) {
    throw new ContainerError(`unknown macvlan mode ${JSON.stringify(mode)}; choose one of ${MACVLAN_MODES.join(', ')}`);
  }
  if (parent !== undefined && !DEVICE.test(parent)) {
    throw new ContainerError(
      `invalid macvlan parent ${quote(parent)}: expected the name of a network device; hint: ip link shows them`,
    );
  }
  return { mode, parent };
}

/**
 * The networks that the host has routes to: routes of every table that a rule looks up, rules for destinations, addresses
 * of its devices (rtnetlink(7), ip-rule(8)). Default routes are not among them.
 */
import { type Answer, attributes, type Message, NetlinkError, NetlinkSocket, text } from '../../../native/netlink.js';
import { formatSubnet, intersect, type Subnet, subnetAround } from '../../../protocol/net/cidr.js';
import { formatIP } from '../../../protocol/net/ip.js';
import type { HostNetwork } from '../../../protocol/wire/messages.js';

const NETLINK_ROUTE = 0;
const RTM = { GETLINK: 18, GETADDR: 22, GETROUTE: 26, GETRULE: 34 } as const;
const IFLA = { IFNAME: 3, MTU: 4 } as const;
const IFA = { ADDRESS: 1, LOCAL: 2 } as const;
const RTA = { DST: 1, OIF: 4, TABLE: 15 } as const;
const FRA = { DST: 1, TABLE: 15, L3MDEV: 19 } as const;
const RTN = { LOCAL: 2, ANYCAST: 4 } as const;
const FR_ACT_TO_TBL = 1;
const RTM_F_CLONED = 0x200;
/** Types of routes that count, as ip-route(8) writes them (linux/rtnetlink.h). */
const KNOWN_TYPES = new Map([
  [1, ''],
  [2, 'local '],
  [6, 'blackhole '],
  [7, 'unreachable '],
  [8, 'prohibit '],
]);
const TABLE = { default: 253, main: 254, local: 255 } as const;
const AF_INET = 2;
const AF_INET6 = 10;
/** A shorter prefix is part of a default route: VPNs split it into two, four and more pieces. */
const LEAST_BITS = { 4: 8, 6: 4 } as const;
/**
 * Loopback, link-local and multicast: no network of containers can have them. Numbers, since each start needs them, and for
 * the first IPv6 address that is parsed Node compiles its pattern, which takes milliseconds.
 */
const UNUSABLE: readonly Subnet[] = [
  subnetAround({ family: 4, value: 127n << 24n }, 8),
  subnetAround({ family: 4, value: 0xa9fen << 16n }, 16),
  subnetAround({ family: 4, value: 0xe0n << 24n }, 4),
  subnetAround({ family: 6, value: 1n }, 128),
  subnetAround({ family: 6, value: 0xfe80n << 112n }, 10),
  subnetAround({ family: 6, value: 0xffn << 120n }, 8),
];

interface Rule {
  /** Table that it leads to. */
  table: number;
  destination: Subnet | undefined;
}

interface Route {
  destination: Subnet;
  /** As in KNOWN_TYPES. */
  type: string;
  table: number;
  device: number;
}

/**
 * All networks of this process's network namespace, the most specific first. Takes less than a millisecond, with thousands
 * of routes a few. Throws NetlinkError, and system errors where no socket can be made.
 */
export function hostRoutes(): HostNetwork[] {
  using socket = new NetlinkSocket(NETLINK_ROUTE);
  const names = new Map(
    socket
      .dump({ type: RTM.GETLINK, payload: Buffer.alloc(16), what: 'list the devices' })
      .map(({ payload }) => [payload.readInt32LE(4), text(attributes(payload.subarray(16)).get(IFLA.IFNAME))]),
  );
  const on = (index: number) => (names.has(index) ? ` dev ${names.get(index)}` : '');
  const found: { subnet: Subnet; what: string }[] = [];
  for (const family of [AF_INET, AF_INET6]) {
    const rules = dump(socket, family, { type: RTM.GETRULE, payload: Buffer.alloc(12), what: 'list the rules' });
    const led = tablesOf(rules);
    for (const route of dump(socket, family, {
      type: RTM.GETROUTE,
      payload: Buffer.alloc(12),
      what: 'list the routes',
    })) {
      const parsed = parseRoute(route);
      if (!parsed || !led(parsed.table)) continue;
      const { destination, type, table, device } = parsed;
      const where = table === TABLE.main || table === TABLE.local ? '' : ` table ${table}`;
      found.push({
        subnet: destination,
        what: `the host's route ${type}${formatSubnet(destination)}${on(device)}${where}`,
      });
    }
    for (const { table, destination } of rules.map(parseRule)) {
      // A rule for one of the usual tables adds nothing to the routes of that table.
      if (!destination || Object.values(TABLE).some((usual) => usual === table)) continue;
      found.push({ subnet: destination, what: `the host's rule to ${formatSubnet(destination)} lookup ${table}` });
    }
  }
  const addresses = socket.dump({ type: RTM.GETADDR, payload: Buffer.alloc(8), what: 'list the addresses' });
  for (const { payload } of addresses) {
    const address = parseAddress(payload);
    if (address) found.push({ ...address, what: `the host's address ${address.text}${on(payload.readUInt32LE(4))}` });
  }
  return found
    .filter(
      ({ subnet }) => subnet.prefix >= LEAST_BITS[subnet.family] && !UNUSABLE.some((one) => intersect(one, subnet)),
    )
    .sort((a, b) => b.subnet.prefix - a.subnet.prefix)
    .map(({ subnet, what }) => ({ subnet: formatSubnet(subnet), what }));
}

/**
 * All addresses by which this network namespace reaches itself: those of its devices, also without a carrier, and others that
 * local routes lead here, such as those that clouds forward to a machine, and anycast ones of IPv6. Throws as hostRoutes().
 */
export function localAddresses(): string[] {
  using socket = new NetlinkSocket(NETLINK_ROUTE);
  const ofDevices = socket
    .dump({ type: RTM.GETADDR, payload: Buffer.alloc(8), what: 'list the addresses' })
    .flatMap(({ payload }) => parseAddress(payload)?.text.replace(/\/.*/, '') ?? []);
  const routed = [AF_INET, AF_INET6].flatMap((family) =>
    dump(socket, family, { type: RTM.GETROUTE, payload: Buffer.alloc(12), what: 'list the routes' }).flatMap(
      ({ payload }) => ownAddress(payload) ?? [],
    ),
  );
  return [...new Set([...ofDevices, ...routed])];
}

/** The MTU of the device with that address, in bytes; undefined where none has it. Throws as hostRoutes(). */
export function mtuAt(ip: string): number | undefined {
  using socket = new NetlinkSocket(NETLINK_ROUTE);
  const owner = socket
    .dump({ type: RTM.GETADDR, payload: Buffer.alloc(8), what: 'list the addresses' })
    .find(({ payload }) => parseAddress(payload)?.text.replace(/\/.*/, '') === ip);
  const index = owner?.payload.readUInt32LE(4);
  const link = socket
    .dump({ type: RTM.GETLINK, payload: Buffer.alloc(16), what: 'list the devices' })
    .find(({ payload }) => payload.readUInt32LE(4) === index);
  return link && attributes(link.payload.subarray(16)).get(IFLA.MTU)?.readUInt32LE(0);
}

/** Empty where the kernel has no such family, or no rules. Throws NetlinkError. */
function dump(socket: NetlinkSocket, family: number, message: Message): Answer[] {
  message.payload[0] = family;
  try {
    // A kernel without the family answers with all other families.
    return socket.dump(message).filter(({ payload }) => payload[0] === family);
  } catch (error) {
    if (error instanceof NetlinkError && ['ENOTSUP', 'EAFNOSUPPORT'].includes(error.code)) return [];
    throw error;
  }
}

/** Whether any rule looks up a table; every table counts where there are no rules, or those of VRFs, which name none. */
function tablesOf(rules: readonly Answer[]): (table: number) => boolean {
  const vrf = rules.some(({ payload }) => attributes(payload.subarray(12)).has(FRA.L3MDEV));
  if (vrf || rules.length === 0) return () => true;
  const tables = new Set(rules.map((rule) => parseRule(rule).table));
  return (table) => tables.has(table);
}

/** struct fib_rule_hdr and its attributes. */
function parseRule({ payload }: Answer): Rule {
  const found = attributes(payload.subarray(12));
  const leads = payload[7] === FR_ACT_TO_TBL;
  const table = found.get(FRA.TABLE)?.readUInt32LE(0) ?? payload[4] ?? 0;
  return { table: leads ? table : 0, destination: leads ? subnetOf(found.get(FRA.DST), payload[1]) : undefined };
}

/** struct rtmsg and its attributes; undefined for default routes and types that do not count. */
function parseRoute({ payload }: Answer): Route | undefined {
  const found = attributes(payload.subarray(12));
  const destination = subnetOf(found.get(RTA.DST), payload[1]);
  const type = KNOWN_TYPES.get(payload[7] ?? 0);
  if (!destination || type === undefined) return undefined;
  if ((payload.readUInt32LE(8) & RTM_F_CLONED) !== 0) return undefined;
  const table = found.get(RTA.TABLE)?.readUInt32LE(0) ?? payload[4] ?? 0;
  // The host's own addresses are among its addresses.
  if (table === TABLE.local && destination.first === destination.last) return undefined;
  return { destination, type, table, device: found.get(RTA.OIF)?.readUInt32LE(0) ?? 0 };
}

/** The address that a route leads to this network namespace itself; undefined for other routes. */
function ownAddress(payload: Buffer): string | undefined {
  if (payload[7] !== RTN.LOCAL && payload[7] !== RTN.ANYCAST) return undefined;
  const own = subnetOf(attributes(payload.subarray(12)).get(RTA.DST), payload[1]);
  return own && own.first === own.last ? formatIP({ family: own.family, value: own.first }) : undefined;
}

/** struct ifaddrmsg and its attributes. */
function parseAddress(payload: Buffer): { subnet: Subnet; text: string } | undefined {
  const found = attributes(payload.subarray(8));
  // IFA_ADDRESS is the peer's address on point-to-point devices.
  const subnet = subnetOf(found.get(IFA.LOCAL) ?? found.get(IFA.ADDRESS), payload[1]);
  const own = subnetOf(found.get(IFA.LOCAL) ?? found.get(IFA.ADDRESS), undefined);
  if (!subnet || !own) return undefined;
  return { subnet, text: `${formatIP({ family: own.family, value: own.first })}/${subnet.prefix}` };
}

function subnetOf(bytes: Buffer | undefined, prefix: number | undefined): Subnet | undefined {
  if (bytes?.length !== 4 && bytes?.length !== 16) return undefined;
  const value = BigInt(`0x${bytes.toString('hex')}`);
  return subnetAround({ family: bytes.length === 4 ? 4 : 6, value }, prefix ?? 8 * bytes.length);
}

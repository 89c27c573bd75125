/** Messages of rtnetlink(7), and what they consist of, as more than one kind of request needs them. */
import ipaddr from 'ipaddr.js';
import { attribute, type Message, NLM_F, u32 } from '../../native/netlink.js';

export const NETLINK_ROUTE = 0;
export const RTM = {
  NEWLINK: 16,
  DELLINK: 17,
  GETLINK: 18,
  SETLINK: 19,
  NEWADDR: 20,
  DELADDR: 21,
  GETADDR: 22,
  NEWROUTE: 24,
  DELROUTE: 25,
  GETROUTE: 26,
  NEWRULE: 32,
  DELRULE: 33,
} as const;
export const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  LINK: 5,
  MASTER: 10,
  PROTINFO: 12,
  LINKINFO: 18,
  IFALIAS: 20,
  GROUP: 27,
  NET_NS_FD: 28,
};
export const IFLA_INFO = { KIND: 1, DATA: 2 };
export const IFA = { ADDRESS: 1, LOCAL: 2, BROADCAST: 4, FLAGS: 8 };
const IFA_F_NODAD = 0x02;
export const RTA = { DST: 1, OIF: 4, GATEWAY: 5, PRIORITY: 6, TABLE: 15 };
export const IFF_UP = 1;
const RT_SCOPE_LINK = 253;
export const NLA_F_NESTED = 0x8000;
export const AF_INET = 2;
export const AF_INET6 = 10;

/** To a device that need not exist. */
export function deviceMessage(type: number, what: string, name: string, header = linkHeader()): Message {
  const payload = Buffer.concat([header, attribute(IFLA.IFNAME, name)]);
  return { type, payload, what: `${what} the device ${name}`, accept: ['ENODEV'] };
}

export function upMessage(index: number): Message {
  return { type: RTM.NEWLINK, payload: linkHeader({ index, up: true }), what: 'bring up the device' };
}

export function addressMessage(index: number, address: string): Message {
  return {
    type: RTM.NEWADDR,
    flags: NLM_F.CREATE | NLM_F.REPLACE,
    payload: addressPayload(index, address),
    what: `add the address ${address}`,
  };
}

/** struct ifinfomsg; without `up` the device stays as it is. */
export function linkHeader({
  family = 0,
  index = 0,
  up,
}: {
  family?: number;
  index?: number;
  up?: boolean;
} = {}): Buffer {
  const header = Buffer.alloc(16);
  header[0] = family;
  header.writeInt32LE(index, 4);
  if (up) header.writeUInt32LE(IFF_UP, 8);
  if (up !== undefined) header.writeUInt32LE(IFF_UP, 12);
  return header;
}

/** struct rtmsg of a route of the main table. */
export function routeHeader(family: number): Buffer {
  const [main, bootProtocol, universe, unicast] = [254, 3, 0, 1];
  return Buffer.concat([Buffer.from([family, 0, 0, 0, main, bootProtocol, universe, unicast]), u32(0)]);
}

/** struct ifaddrmsg and its attributes. */
function addressPayload(index: number, cidr: string): Buffer {
  const [address, length] = ipaddr.parseCIDR(cidr);
  const bytes = Buffer.from(address.toByteArray());
  const header = Buffer.from([bytes.length === 4 ? AF_INET : AF_INET6, length, 0, 0]);
  const broadcast =
    bytes.length === 4 && length < 31
      ? [attribute(IFA.BROADCAST, Buffer.from(ipaddr.IPv4.broadcastAddressFromCIDR(cidr).toByteArray()))]
      : [];
  return Buffer.concat([
    header,
    u32(index),
    attribute(IFA.LOCAL, bytes),
    attribute(IFA.ADDRESS, bytes),
    ...broadcast,
    ...(bytes.length === 16 ? [attribute(IFA.FLAGS, IFA_F_NODAD)] : []),
  ]);
}

export function ipBytes(ip: string): Buffer {
  return Buffer.from(ipaddr.parse(ip).toByteArray());
}

/** A route to a subnet whose hosts are reached directly through a device, or through a gateway there. */
export function subnetRouteMessage(type: number, index: number, cidr: string, gateway?: string): Message {
  const [address, length] = ipaddr.parseCIDR(cidr);
  const bytes = Buffer.from(address.toByteArray());
  const header = routeHeader(bytes.length === 4 ? AF_INET : AF_INET6);
  header[1] = length;
  // IPv6 has no scopes of routes.
  if (bytes.length === 4 && gateway === undefined) header[6] = RT_SCOPE_LINK;
  return {
    type,
    payload: Buffer.concat([
      header,
      attribute(RTA.DST, bytes),
      attribute(RTA.OIF, index),
      ...(gateway === undefined ? [] : [attribute(RTA.GATEWAY, ipBytes(gateway))]),
    ]),
    what: `${type === RTM.NEWROUTE ? 'add' : 'remove'} the route to ${cidr}`,
  };
}

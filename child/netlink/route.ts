/**
 * Devices, addresses and routes of a network namespace (rtnetlink(7)).
 */
import ipaddr from 'ipaddr.js';
import {
  type Answer,
  attribute,
  attributes,
  type Message,
  NetlinkSocket,
  NLM_F,
  text,
  u32,
} from '../../native/netlink.js';

const NETLINK_ROUTE = 0;
const RTM = {
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
} as const;
const IFLA = {
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
const IFLA_INFO = { KIND: 1, DATA: 2 };
const VETH_INFO_PEER = 1;
const IFLA_BRPORT_ISOLATED = 33;
const IFA = { ADDRESS: 1, LOCAL: 2, BROADCAST: 4, FLAGS: 8 };
const IFA_F_NODAD = 0x02;
const RTA = { DST: 1, OIF: 4, GATEWAY: 5, PRIORITY: 6, TABLE: 15 };
const IFF_UP = 1;
const NLA_F_NESTED = 0x8000;
const AF_INET = 2;
const AF_INET6 = 10;
const AF_BRIDGE = 7;

export interface Link {
  index: number;
  name: string;
  /** Index of the bridge that the device is a port of; 0 if there is none. */
  master: number;
  /** Index of its parent device, or of its peer, which may be in another namespace; 0 if there is none. */
  parent: number;
  /** bridge, veth, …; "" for none. */
  kind: string;
  mac: string;
  mtu: number;
  up: boolean;
  /** Free text, set by the program that created it. */
  alias: string;
}

export interface Address {
  index: number;
  /** In CIDR notation. */
  address: string;
}

export interface Route {
  /** In CIDR notation; a default route is 0.0.0.0/0 or ::/0. */
  destination: string;
  gateway: string;
  index: number;
}

export interface VethOptions {
  name: string;
  peerName: string;
  /** Descriptor of the network namespace that the peer is created in. */
  peerNetns: number;
  mtu: number;
  /** MAC address of the peer; the kernel chooses one unless given. */
  peerMac?: string;
  /** Index of the bridge that the local end becomes a port of. */
  master: number;
  alias: string;
}

/** One network namespace's devices, addresses and routes. Every method throws NetlinkError. */
export class RouteSocket implements Disposable {
  readonly #socket: NetlinkSocket;

  /** @param netns path of the network namespace; "" for that of this process */
  constructor(netns = '') {
    this.#socket = new NetlinkSocket(NETLINK_ROUTE, netns);
  }

  links(): Link[] {
    return this.#socket
      .dump({ type: RTM.GETLINK, payload: linkHeader(), what: 'list the devices' })
      .map(({ payload }) => parseLink(payload));
  }

  link(name: string): Link | undefined {
    const answer = this.#socket.get(deviceMessage(RTM.GETLINK, 'find', name));
    return answer && parseLink(answer.payload);
  }

  addresses(): Address[] {
    return this.#socket
      .dump({ type: RTM.GETADDR, payload: Buffer.alloc(8), what: 'list the addresses' })
      .map(({ payload }) => parseAddress(payload));
  }

  /** The routes of the main table, IPv4 and IPv6. */
  routes(): Route[] {
    return [AF_INET, AF_INET6].flatMap((family) => {
      const payload = Buffer.alloc(12);
      payload[0] = family;
      return this.#socket
        .dump({ type: RTM.GETROUTE, payload, what: 'list the routes' })
        .map(parseRoute)
        .filter((route) => route !== undefined);
    });
  }

  /** Creates a bridge unless one of that name exists, and brings it up. Returns its index. */
  ensureBridge(name: string, mtu: number, mac: string): number {
    const info = [attribute(IFLA_INFO.KIND, 'bridge')];
    this.#socket.send({
      type: RTM.NEWLINK,
      flags: NLM_F.CREATE | NLM_F.EXCL,
      payload: Buffer.concat([
        linkHeader({ up: true }),
        attribute(IFLA.IFNAME, name),
        ...(mtu > 0 ? [attribute(IFLA.MTU, mtu)] : []),
        // Otherwise it would be the lowest of its ports', and change with them.
        attribute(IFLA.ADDRESS, macBytes(mac)),
        attribute(IFLA.LINKINFO | NLA_F_NESTED, Buffer.concat(info)),
      ]),
      what: `create the bridge ${name}`,
      accept: ['EEXIST'],
    });
    const bridge = this.link(name);
    if (bridge === undefined) throw new Error(`the bridge ${name} has disappeared`);
    if (!bridge.up) this.setUp(bridge.index);
    return bridge.index;
  }

  /**
   * Creates a veth pair: one end a port of a bridge here, the other in another namespace, not up yet. Returns the end here;
   * undefined where another program has removed it at once.
   */
  makeVeth({ name, peerName, peerNetns, mtu, peerMac, master, alias }: VethOptions): Link | undefined {
    // The peer cannot be brought up before the pair exists: veth(4) fails with ENOTCONN.
    const peer = Buffer.concat([
      linkHeader(),
      attribute(IFLA.IFNAME, peerName),
      attribute(IFLA.NET_NS_FD, peerNetns),
      ...(mtu > 0 ? [attribute(IFLA.MTU, mtu)] : []),
      ...(peerMac ? [attribute(IFLA.ADDRESS, macBytes(peerMac))] : []),
    ]);
    const info = [
      attribute(IFLA_INFO.KIND, 'veth'),
      attribute(IFLA_INFO.DATA | NLA_F_NESTED, attribute(VETH_INFO_PEER | NLA_F_NESTED, peer)),
    ];
    const create: Message = {
      type: RTM.NEWLINK,
      flags: NLM_F.CREATE | NLM_F.EXCL,
      payload: Buffer.concat([
        linkHeader({ up: true }),
        attribute(IFLA.IFNAME, name),
        ...(mtu > 0 ? [attribute(IFLA.MTU, mtu)] : []),
        attribute(IFLA.MASTER, master),
        attribute(IFLA.LINKINFO | NLA_F_NESTED, Buffer.concat(info)),
      ]),
      what: `create the device ${name}`,
    };
    const named = Buffer.concat([linkHeader(), attribute(IFLA.IFALIAS, Buffer.from(alias))]);
    const describe = deviceMessage(RTM.NEWLINK, 'set the alias of', name, named);
    const answer = this.#socket.get(deviceMessage(RTM.GETLINK, 'find', name), create, describe);
    return answer && parseLink(answer.payload);
  }

  /** Isolates a port: isolated ports do not see each other (bridge(8), `isolated`). */
  isolatePort(index: number): void {
    this.#socket.send({
      type: RTM.SETLINK,
      payload: Buffer.concat([
        linkHeader({ family: AF_BRIDGE, index }),
        attribute(IFLA.PROTINFO | NLA_F_NESTED, attribute(IFLA_BRPORT_ISOLATED, Buffer.from([1]))),
      ]),
      what: 'isolate the port of the bridge',
    });
  }

  /** Makes a device a port of a bridge. */
  setMaster(index: number, master: number): void {
    this.#socket.send({
      type: RTM.NEWLINK,
      payload: Buffer.concat([linkHeader({ index }), attribute(IFLA.MASTER, master)]),
      what: 'put the device on the bridge',
    });
  }

  setUp(index: number): void {
    this.#socket.send(upMessage(index));
  }

  /** From here on nothing is sent or received through it. Does nothing if the device does not exist. */
  setDown(name: string): void {
    this.#socket.send(deviceMessage(RTM.NEWLINK, 'take down', name, linkHeader({ up: false })));
  }

  /** Does nothing if the device does not exist. */
  deleteLink(name: string): void {
    this.#socket.send(deviceMessage(RTM.DELLINK, 'remove', name));
  }

  /**
   * Removes devices, on another thread: the kernel waits until nobody uses them any more (tens of milliseconds), once for a
   * group. Devices that do not exist are skipped. The socket must not be used until it is done.
   *
   * @param group of no other devices
   */
  async deleteLinks(names: readonly string[], group: number): Promise<void> {
    const join = (name: string): Message => ({
      type: RTM.NEWLINK,
      payload: Buffer.concat([linkHeader(), attribute(IFLA.IFNAME, name), attribute(IFLA.GROUP, group)]),
      what: `put the device ${name} into a group`,
      accept: ['ENODEV'],
    });
    const payload = Buffer.concat([linkHeader(), attribute(IFLA.GROUP, group)]);
    const what = `remove the devices ${names.join(', ')}`;
    await this.#socket.sendAside(...names.map(join), { type: RTM.DELLINK, payload, what, accept: ['ENODEV'] });
  }

  /** Brings up a device and the loopback device, and adds addresses and default routes, in one go. */
  configure(index: number, addresses: readonly string[], gateways: readonly string[]): void {
    const loopback = 1;
    this.#socket.send(
      ...[loopback, index].map(upMessage),
      ...addresses.map((address) => addressMessage(index, address)),
      ...gateways.map((gateway) => defaultRouteMessage(index, gateway)),
    );
  }

  /** Adds addresses in CIDR notation, without duplicate address detection; existing ones are kept. */
  addAddresses(index: number, addresses: readonly string[]): void {
    this.#socket.send(...addresses.map((address) => addressMessage(index, address)));
  }

  /** Adds a default route through each gateway, one of each family. */
  addDefaultRoutes(index: number, gateways: readonly string[]): void {
    this.#socket.send(...gateways.map((gateway) => defaultRouteMessage(index, gateway)));
  }

  /** Removes the default routes that lead out of a device. */
  deleteDefaultRoutes(index: number): void {
    const routes = this.routes().filter(
      (route) => route.index === index && /^(0\.0\.0\.0|::)\/0$/.test(route.destination),
    );
    this.#socket.send(
      ...routes.map(
        ({ destination }): Message => ({
          type: RTM.DELROUTE,
          payload: Buffer.concat([
            routeHeader(destination.startsWith('::') ? AF_INET6 : AF_INET),
            attribute(RTA.OIF, index),
          ]),
          what: 'remove a default route',
          accept: ['ESRCH'],
        }),
      ),
    );
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}

/** To a device that need not exist. */
function deviceMessage(type: number, what: string, name: string, header = linkHeader()): Message {
  const payload = Buffer.concat([header, attribute(IFLA.IFNAME, name)]);
  return { type, payload, what: `${what} the device ${name}`, accept: ['ENODEV'] };
}

function upMessage(index: number): Message {
  return { type: RTM.NEWLINK, payload: linkHeader({ index, up: true }), what: 'bring up the device' };
}

function addressMessage(index: number, address: string): Message {
  return {
    type: RTM.NEWADDR,
    flags: NLM_F.CREATE | NLM_F.REPLACE,
    payload: addressPayload(index, address),
    what: `add the address ${address}`,
  };
}

function defaultRouteMessage(index: number, gateway: string): Message {
  const bytes = ipBytes(gateway);
  return {
    type: RTM.NEWROUTE,
    flags: NLM_F.CREATE | NLM_F.REPLACE,
    payload: Buffer.concat([
      routeHeader(bytes.length === 4 ? AF_INET : AF_INET6),
      attribute(RTA.GATEWAY, bytes),
      attribute(RTA.OIF, index),
    ]),
    what: `add the default route through ${gateway}`,
  };
}

/** struct ifinfomsg; without `up` the device stays as it is. */
function linkHeader({ family = 0, index = 0, up }: { family?: number; index?: number; up?: boolean } = {}): Buffer {
  const header = Buffer.alloc(16);
  header[0] = family;
  header.writeInt32LE(index, 4);
  if (up) header.writeUInt32LE(IFF_UP, 8);
  if (up !== undefined) header.writeUInt32LE(IFF_UP, 12);
  return header;
}

/** struct rtmsg of a route of the main table. */
function routeHeader(family: number): Buffer {
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

function parseLink(payload: Buffer): Link {
  const found = attributes(payload.subarray(16));
  const info = found.get(IFLA.LINKINFO);
  return {
    index: payload.readInt32LE(4),
    name: text(found.get(IFLA.IFNAME)),
    master: found.get(IFLA.MASTER)?.readUInt32LE(0) ?? 0,
    parent: found.get(IFLA.LINK)?.readUInt32LE(0) ?? 0,
    kind: info === undefined ? '' : text(attributes(info).get(IFLA_INFO.KIND)),
    mac: [...(found.get(IFLA.ADDRESS) ?? [])].map((byte) => byte.toString(16).padStart(2, '0')).join(':'),
    mtu: found.get(IFLA.MTU)?.readUInt32LE(0) ?? 0,
    up: (payload.readUInt32LE(8) & IFF_UP) !== 0,
    alias: text(found.get(IFLA.IFALIAS)),
  };
}

function parseAddress(payload: Buffer): Address {
  const found = attributes(payload.subarray(8));
  // On a point-to-point device, IFA_ADDRESS is the peer's address.
  const bytes = found.get(IFA.LOCAL) ?? found.get(IFA.ADDRESS) ?? Buffer.alloc(4);
  return { index: payload.readUInt32LE(4), address: `${ipText(bytes)}/${payload[1]}` };
}

function parseRoute({ payload }: Answer): Route | undefined {
  const found = attributes(payload.subarray(12));
  const main = 254;
  const unicast = 1;
  if ((found.get(RTA.TABLE)?.readUInt32LE(0) ?? payload[4]) !== main || payload[7] !== unicast) return undefined;
  const destination = found.get(RTA.DST);
  const everything = payload[0] === AF_INET ? '0.0.0.0' : '::';
  const gateway = found.get(RTA.GATEWAY);
  return {
    destination: `${destination ? ipText(destination) : everything}/${payload[1]}`,
    gateway: gateway ? ipText(gateway) : '',
    index: found.get(RTA.OIF)?.readUInt32LE(0) ?? 0,
  };
}

function ipText(bytes: Buffer): string {
  return ipaddr.fromByteArray([...bytes]).toString();
}

function ipBytes(ip: string): Buffer {
  return Buffer.from(ipaddr.parse(ip).toByteArray());
}

function macBytes(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}

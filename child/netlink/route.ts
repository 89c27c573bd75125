/**
 * Devices, addresses and routes of a network namespace (rtnetlink(7)).
 */
import ipaddr from 'ipaddr.js';
import {
  type Answer,
  attribute,
  attributes,
  type Message,
  NetlinkError,
  NetlinkSocket,
  NLM_F,
  text,
} from '../../native/netlink.js';
import {
  AF_INET,
  AF_INET6,
  addressMessage,
  deviceMessage,
  IFA,
  IFF_UP,
  IFLA,
  IFLA_INFO,
  ipBytes,
  linkHeader,
  NETLINK_ROUTE,
  NLA_F_NESTED,
  RTA,
  RTM,
  routeHeader,
  subnetRouteMessage,
  upMessage,
} from './messages.js';

const VETH_INFO_PEER = 1;
const IFLA_BRPORT_ISOLATED = 33;
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
   * Creates a device of a kind that needs no more than its name (ip-link(8)). Returns false where the kernel has no such kind.
   */
  makeDevice(name: string, kind: string): boolean {
    try {
      this.#socket.send({
        type: RTM.NEWLINK,
        flags: NLM_F.CREATE | NLM_F.EXCL,
        payload: Buffer.concat([
          linkHeader(),
          attribute(IFLA.IFNAME, name),
          attribute(IFLA.LINKINFO | NLA_F_NESTED, attribute(IFLA_INFO.KIND, kind)),
        ]),
        what: `create the device ${name}`,
      });
      return true;
    } catch (error) {
      // EOPNOTSUPP, which has the same number.
      if (error instanceof NetlinkError && error.code === 'ENOTSUP') return false;
      throw error;
    }
  }

  setMtu(index: number, mtu: number): void {
    const payload = Buffer.concat([linkHeader({ index }), attribute(IFLA.MTU, mtu)]);
    this.#socket.send({ type: RTM.NEWLINK, payload, what: `set the MTU ${mtu}` });
  }

  /** Adds routes to subnets that are reached directly through a device. One that exists already is refused. */
  addRoutes(index: number, subnets: readonly string[]): void {
    const flags = NLM_F.CREATE | NLM_F.EXCL;
    this.#socket.send(...subnets.map((cidr) => ({ ...subnetRouteMessage(RTM.NEWROUTE, index, cidr), flags })));
  }

  /** Removes such routes; those that do not exist are skipped. */
  deleteRoutes(index: number, subnets: readonly string[]): void {
    const accept = ['ESRCH'];
    this.#socket.send(...subnets.map((cidr) => ({ ...subnetRouteMessage(RTM.DELROUTE, index, cidr), accept })));
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

  /** Adds routes to subnets through a gateway; existing ones are replaced. */
  addRoutesThrough(index: number, gateway: string, subnets: readonly string[]): void {
    const flags = NLM_F.CREATE | NLM_F.REPLACE;
    this.#socket.send(...subnets.map((cidr) => ({ ...subnetRouteMessage(RTM.NEWROUTE, index, cidr, gateway), flags })));
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

function macBytes(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}

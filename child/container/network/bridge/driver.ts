/**
 * Networks of ours: a bridge, a pair of devices for each container, and the packet filter's static rules.
 *
 * Theory of operation. A bridge is made when the first container needs it, and stays while the stack runs. The device on
 * the bridge is named after container and interface, so that it is found again without a record, and replaced where one
 * was left. When a container's network namespace goes, the kernel takes its devices with it.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readdirSync, writeFileSync } from 'node:fs';
import { errorText } from '../../protocol/error-text.js';
import { type Link, RouteSocket } from '../netlink/route.js';
import { NetlinkError } from '../netlink/socket.js';
import type { AttachDriver, Attachment, StepRunner } from './attach-driver.js';
import type { CNIResult } from './cni/types.js';
import { ContainerError } from './errors.js';
import type { Firewall } from './firewall.js';
import { formatIP, parseIP } from './ip-address.js';
import type { Ipam, IpamAddress } from './ipam.js';
import { KeyedLock } from './lock.js';
import { type BridgeNetwork, firewallBridge, type Network } from './networks.js';
import { parseSubnet } from './subnets.js';

/** The kernel would not set up a network. */
export class BridgeError extends ContainerError {
  override name = 'BridgeError';
  constructor(message: string) {
    super(message, 500);
  }
}

/** Marks devices on bridges as ours. */
export const DEVICE_MARK = 'rootless-net ';

export class BridgeDriver implements AttachDriver {
  readonly #locks = new KeyedLock();
  /** Index of the bridge of each network that has been seen to. */
  readonly #bridges = new Map<string, number>();
  #forwarding = false;

  constructor(
    private readonly ipam: Ipam,
    private readonly firewall: Firewall,
    /** Of the stack's network, in bytes; 0 where it is unknown. */
    private readonly stackMtu: () => number,
  ) {}

  async attach(attachment: Attachment, step: StepRunner): Promise<CNIResult> {
    const { network, containerId, ifname, ip, ip6 } = attachment;
    const bridge = bridgeOf(network);
    const index = await step(`bridge:${network.name}`, () => this.ensure(network));
    const requested = [ip, ip6].filter((address) => address !== undefined);
    const leases = await step(`address:${ifname}`, () =>
      this.ipam.reserve({
        network: network.name,
        containerId,
        ifname,
        rangeSets: bridge.rangeSets,
        requested,
        oneInterface: true,
      }),
    );
    return step(`device:${ifname}`, async () => {
      try {
        return explained(() => this.#connect(attachment, bridge, index, leases));
      } catch {
        // Somebody may have removed the bridge since.
        this.#bridges.delete(network.name);
        const again = await this.ensure(network);
        return explained(() => this.#connect(attachment, bridge, again, leases));
      }
    });
  }

  async detach({ containerId, ifname }: Attachment): Promise<void> {
    explained(() => {
      using socket = new RouteSocket();
      socket.deleteLink(deviceOf(containerId, ifname));
    });
  }

  async release({ containerId, network }: Pick<Attachment, 'containerId' | 'network'>): Promise<void> {
    await this.ipam.release(network.name, containerId);
  }

  async check(attachment: Attachment): Promise<void> {
    const { network, containerId, ifname, netns } = attachment;
    const bridge = bridgeOf(network);
    const rules = firewallBridge(network);
    if (rules && !(await this.firewall.has(rules)))
      throw new BridgeError(`the packet filter has no rules for ${bridge.device}`);
    const device = deviceOf(containerId, ifname);
    explained(() => {
      using socket = new RouteSocket();
      const links = socket.links();
      const port = links.find(({ name }) => name === device);
      if (!port) throw new BridgeError(`the device ${device} is gone`);
      if (!port.up) throw new BridgeError(`the device ${device} is down`);
      const master = links.find(({ index }) => index === port.master);
      if (master?.name !== bridge.device)
        throw new BridgeError(`the device ${device} is not on the bridge ${bridge.device}`);
    });
    const held = (await this.ipam.list(network.name)).filter(
      (entry) => entry.containerId === containerId && entry.ifname === ifname,
    );
    explained(() => {
      using inside = new RouteSocket(netns);
      const link = inside.link(ifname);
      const present = inside.addresses().filter(({ index }) => index === link?.index);
      for (const { ip } of held) {
        if (!present.some(({ address }) => isSame(address.replace(/\/.*$/, ''), ip))) {
          throw new BridgeError(`${ifname} of the container has not the address ${ip}`);
        }
      }
    });
  }

  /** Makes the network's bridge, unless it is there. Resolves with its index. */
  ensure(network: Network): Promise<number> {
    return this.#locks.run(network.name, async () => {
      const known = this.#bridges.get(network.name);
      if (known !== undefined) return known;
      const bridge = bridgeOf(network);
      const rules = firewallBridge(network);
      if (rules) await this.firewall.ensure(rules);
      const index = explained(() => {
        using socket = new RouteSocket();
        const made = socket.ensureBridge(bridge.device, bridge.mtu || this.stackMtu(), macOf(bridge.device));
        const gateways = bridge.rangeSets.flatMap(([range]) =>
          range?.gateway ? [`${range.gateway}/${parseSubnet(range.subnet).prefix}`] : [],
        );
        // An internal one has it too: the agent reaches published ports through it. Nobody is told of it as a gateway.
        socket.addAddresses(made, gateways);
        return made;
      });
      if (!bridge.internal) this.#forward();
      this.#bridges.set(network.name, index);
      return index;
    });
  }

  /** Takes the network's bridge and rules away; its containers are gone. */
  remove(network: Network): Promise<void> {
    return this.#locks.run(network.name, async () => {
      this.#bridges.delete(network.name);
      const rules = firewallBridge(network);
      if (!rules) return;
      explained(() => {
        using socket = new RouteSocket();
        socket.deleteLink(rules.device);
      });
      await this.firewall.remove(rules);
    });
  }

  #connect(attachment: Attachment, bridge: BridgeNetwork, index: number, leases: readonly IpamAddress[]): CNIResult {
    const { containerId, ifname, netns, mac, defaultRoute } = attachment;
    const device = deviceOf(containerId, ifname);
    using socket = new RouteSocket();
    // What was left of an attempt before; with it goes the other end.
    socket.deleteLink(device);
    using inside = new RouteSocket(netns);
    const file = openSync(netns, 'r');
    try {
      socket.makeVeth({
        name: device,
        peerName: ifname,
        peerNetns: file,
        mtu: bridge.mtu || this.stackMtu(),
        // Of the address, so that a container that comes back with it is found in the caches of its peers.
        peerMac: mac ?? macOf(leases[0]?.address ?? device),
        master: index,
        alias: `${DEVICE_MARK}${containerId} ${ifname}`,
      });
    } finally {
      closeSync(file);
    }
    if (!bridge.icc) {
      const port = socket.link(device);
      if (port) socket.isolatePort(port.index);
    }
    const link = requireLink(inside, ifname);
    const loopback = inside.link('lo');
    if (loopback && !loopback.up) inside.setUp(loopback.index);
    inside.setUp(link.index);
    inside.addAddresses(
      link.index,
      leases.map(({ address }) => address),
    );
    const gateways = bridge.internal ? [] : leases.map(({ gateway }) => gateway);
    if (defaultRoute && gateways.length > 0) inside.addDefaultRoutes(link.index, gateways);
    return {
      cniVersion: '1.0.0',
      interfaces: [
        { name: bridge.device, mac: macOf(bridge.device) },
        { name: device, mac: socket.link(device)?.mac ?? '' },
        { name: ifname, mac: link.mac, sandbox: netns },
      ],
      ips: leases.map(({ address, gateway }) => ({ address, interface: 2, ...(bridge.internal ? {} : { gateway }) })),
      ...(defaultRoute && gateways.length > 0
        ? { routes: gateways.map((gateway) => ({ dst: gateway.includes(':') ? '::/0' : '0.0.0.0/0', gw: gateway })) }
        : {}),
      dns: {},
    };
  }

  /** Lets the stack's namespace pass packets on, as a router. */
  #forward(): void {
    if (this.#forwarding) return;
    const write = (path: string, value: string) => writeFileSync(`/proc/sys/net/${path}`, value);
    try {
      write('ipv4/ip_forward', '1');
      // A router takes no advertisements of routers unless told (ip-sysctl, accept_ra); the stack's device lives by them.
      for (const device of readdirSync('/proc/sys/net/ipv6/conf')) write(`ipv6/conf/${device}/accept_ra`, '2');
      write('ipv6/conf/all/forwarding', '1');
    } catch (error) {
      // A host without IPv6 has no such files.
      if (!errorText(error).includes('ipv6')) throw new BridgeError(`cannot switch on forwarding: ${errorText(error)}`);
    }
    this.#forwarding = true;
  }
}

/** Name of the device on the bridge; 15 characters at most. */
export function deviceOf(containerId: string, ifname: string): string {
  return `rnv${createHash('sha256').update(`${containerId} ${ifname}`).digest('hex').slice(0, 12)}`;
}

/** A locally administered address that follows from a text. */
function macOf(text: string): string {
  const bytes = createHash('sha256').update(text).digest();
  return ['02', ...[...bytes.subarray(0, 5)].map((byte) => byte.toString(16).padStart(2, '0'))].join(':');
}

function bridgeOf(network: Network): BridgeNetwork {
  if (!network.bridge) throw new BridgeError(`the network ${network.name} is no bridge of ours`);
  return network.bridge;
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [parseIP(one), parseIP(other)];
  return a !== undefined && b !== undefined && formatIP(a) === formatIP(b);
}

function requireLink(socket: RouteSocket, name: string): Link {
  const link = socket.link(name);
  if (!link) throw new BridgeError(`the device ${name} is gone again`);
  return link;
}

/** The kernel's refusals as errors of ours. Throws BridgeError. */
function explained<T>(task: () => T): T {
  try {
    return task();
  } catch (error) {
    if (error instanceof ContainerError) throw error;
    const why = error instanceof NetlinkError ? error.message : errorText(error);
    throw new BridgeError(`cannot set up the container's network: ${why}`);
  }
}

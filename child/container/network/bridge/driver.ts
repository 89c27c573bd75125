/**
 * Attaches containers to bridge networks without plugins: a bridge, a veth pair for each container, and the static rules of
 * the packet filter.
 *
 * Theory of operation. A bridge is created when the first container needs it, and exists while the stack runs. The name of
 * the device on the bridge is derived from container and interface, so that it is found without a record, and a leftover
 * one is replaced. When a container's network namespace ends, the kernel removes its devices.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { NetlinkError } from '../../../../native/netlink.js';
import { errorText } from '../../../../protocol/errors/error-text.js';
import { addressOf, defaultRouteOf } from '../../../../protocol/net/cidr.js';
import { canonical, familyOf } from '../../../../protocol/net/ip.js';
import { type Link, RouteSocket, type VethOptions } from '../../../netlink/route.js';
import { ContainerError } from '../../errors.js';
import { KeyedLock } from '../../storage/lock.js';
import type { AttachDriver, Attachment, StepRunner } from '../attach-driver.js';
import type { CNIResult } from '../cni/executor/types.js';
import type { PolicedInterface } from '../egress/filter.js';
import type { EgressPolicies } from '../egress/policies.js';
import type { Ipam, IpamAddress } from '../ipam/ipam.js';
import { parseSubnet } from '../ipam/subnets.js';
import type { BridgeNetwork, Network } from '../network.js';
import { DeviceRemoval } from './device-removal.js';
import { type Firewall, firewallBridge } from './firewall.js';
import { enableForwarding } from './forwarding.js';
import { bridgeProblem, portProblem } from './state.js';

/** The kernel refused to set up a network. */
export class BridgeError extends ContainerError {
  override name = 'BridgeError';
  constructor(message: string) {
    super(message, 500);
  }
}

/** Prefix of the alias of devices on bridges, by which they are recognised. */
export const DEVICE_MARK = 'rootless-net ';

export interface BridgeDriverDeps {
  ipam: Ipam;
  firewall: Firewall;
  /** The MTU of the stack's network, in bytes; 0 if it is unknown. */
  stackMtu: () => number;
  policies: Pick<EgressPolicies, 'admit'>;
  /** Called when a network's bridge is there. */
  onReady?: (network: Network) => void;
  /** Called when a network's bridge is removed. */
  onRemoved?: (network: string) => void;
}

export class BridgeDriver implements AttachDriver {
  readonly #locks = new KeyedLock();
  /** Index of the bridge of each network that was ensured. */
  readonly #bridges = new Map<string, number>();
  readonly #removal = new DeviceRemoval();
  /** For as long as the agent runs. */
  #socket: RouteSocket | undefined;

  constructor(private readonly deps: BridgeDriverDeps) {}

  async attach(attachment: Attachment, step: StepRunner): Promise<CNIResult> {
    const { network, containerId, ifname, ip, ip6 } = attachment;
    const bridge = bridgeOf(network);
    const index = await step(`bridge:${network.name}`, () => this.ensure(network));
    const requested = [ip, ip6].filter((address) => address !== undefined);
    const leases = await step(`address:${ifname}`, () =>
      this.deps.ipam.reserve({
        network: network.name,
        containerId,
        ifname,
        rangeSets: bridge.rangeSets,
        requested,
        oneInterface: true,
      }),
    );
    return step(`device:${ifname}`, async () => {
      await this.deps.policies.admit(containerId, policedInterface(attachment, leases));
      await this.#removal.removed(deviceOf(containerId, ifname));
      try {
        return withBridgeErrors(() => this.#connect(attachment, bridge, index, leases));
      } catch {
        // The bridge may have been removed by another program.
        this.#bridges.delete(network.name);
        const again = await this.ensure(network);
        return withBridgeErrors(() => this.#connect(attachment, bridge, again, leases));
      }
    });
  }

  cutOff({ containerId, ifname }: Pick<Attachment, 'containerId' | 'ifname'>): void {
    withBridgeErrors(() => this.#here().setDown(deviceOf(containerId, ifname)));
  }

  async detach({ containerId, ifname }: Attachment): Promise<void> {
    await this.#removal.remove(deviceOf(containerId, ifname)).catch((error: unknown) => {
      throw bridgeError(error);
    });
  }

  async release({ containerId, network }: Pick<Attachment, 'containerId' | 'network'>): Promise<void> {
    await this.deps.ipam.release(network.name, containerId);
  }

  async check(attachment: Attachment): Promise<void> {
    const { network, containerId, ifname, netns } = attachment;
    const bridge = bridgeOf(network);
    const rules = firewallBridge(network);
    if (rules && !(await this.deps.firewall.has(rules)))
      throw new BridgeError(`the packet filter has no rules for ${bridge.device}`);
    const device = deviceOf(containerId, ifname);
    withBridgeErrors(() => {
      using socket = new RouteSocket();
      const state = { links: socket.links(), addresses: socket.addresses() };
      const bridgeFault = bridgeProblem(state, bridge.device, gatewaysOf(bridge));
      if (bridgeFault !== undefined) throw new BridgeError(`the bridge ${bridge.device} ${bridgeFault}`);
      const portFault = portProblem(state, device, bridge.device);
      if (portFault !== undefined) throw new BridgeError(`the device ${device} ${portFault}`);
    });
    const held = (await this.deps.ipam.list(network.name)).filter(
      (entry) => entry.containerId === containerId && entry.ifname === ifname,
    );
    withBridgeErrors(() => {
      using inside = new RouteSocket(netns);
      const link = inside.link(ifname);
      const present = inside.addresses().filter(({ index }) => index === link?.index);
      for (const { ip } of held) {
        if (!present.some(({ address }) => canonical(addressOf(address)) === canonical(ip))) {
          throw new BridgeError(`${ifname} of the container does not have the address ${ip}`);
        }
      }
    });
  }

  /** Creates the network's bridge unless it exists. Resolves with its index. */
  ensure(network: Network): Promise<number> {
    return this.#locks.run(network.name, async () => {
      const known = this.#bridges.get(network.name);
      if (known !== undefined) return known;
      const bridge = bridgeOf(network);
      const rules = firewallBridge(network);
      if (rules) await this.deps.firewall.ensure(rules);
      const index = withBridgeErrors(() => {
        using socket = new RouteSocket();
        const created = socket.ensureBridge(bridge.device, bridge.mtu || this.deps.stackMtu(), macOf(bridge.device));
        skipDad(bridge.device);
        const gateways = bridge.rangeSets.flatMap(([range]) =>
          range?.gateway ? [`${range.gateway}/${parseSubnet(range.subnet).prefix}`] : [],
        );
        // An internal bridge has it, too: the agent reaches published ports through it. It is not given to containers as a gateway.
        socket.addAddresses(created, gateways);
        return created;
      });
      if (!bridge.internal || bridge.tunnel !== undefined) enableForwarding();
      this.#bridges.set(network.name, index);
      this.deps.onReady?.(network);
      return index;
    });
  }

  /** Restores a bridge that another program has removed or changed. Throws BridgeError. */
  async restore(network: Network): Promise<void> {
    this.#bridges.delete(network.name);
    await this.ensure(network);
  }

  /** The same for a container's device on it, which is recreated where it is missing. Throws BridgeError. */
  async restorePort(attachment: Attachment): Promise<void> {
    const { network, containerId, ifname, netns } = attachment;
    const bridge = bridgeOf(network);
    const index = await this.ensure(network);
    const isWhole = withBridgeErrors(() => {
      using socket = new RouteSocket();
      using inside = new RouteSocket(netns);
      const port = socket.link(deviceOf(containerId, ifname));
      if (!port || !inside.link(ifname)) return false;
      socket.setMaster(port.index, index);
      if (!bridge.icc) socket.isolatePort(port.index);
      socket.setUp(port.index);
      return true;
    });
    if (isWhole) return;
    const { rangeSets } = bridge;
    const held = { network: network.name, containerId, ifname, rangeSets, requested: [], oneInterface: true };
    const leases = await this.deps.ipam.reserve(held);
    withBridgeErrors(() => this.#connect(attachment, bridge, index, leases));
  }

  /** Removes the network's bridge and rules; there must be no container on it. */
  remove(network: Network): Promise<void> {
    return this.#locks.run(network.name, async () => {
      this.#bridges.delete(network.name);
      this.deps.onRemoved?.(network.name);
      const rules = firewallBridge(network);
      if (!rules) return;
      withBridgeErrors(() => {
        using socket = new RouteSocket();
        socket.deleteLink(rules.device);
      });
      await this.deps.firewall.remove(rules);
    });
  }

  #here(): RouteSocket {
    this.#socket ??= new RouteSocket();
    return this.#socket;
  }

  #connect(attachment: Attachment, bridge: BridgeNetwork, index: number, leases: readonly IpamAddress[]): CNIResult {
    const { containerId, ifname, netns, defaultRoute } = attachment;
    const device = deviceOf(containerId, ifname);
    const socket = this.#here();
    using inside = new RouteSocket(netns);
    const file = openSync(netns, 'r');
    let port: Link | undefined;
    try {
      port = makeVeth(socket, {
        name: device,
        peerName: ifname,
        peerNetns: file,
        mtu: bridge.mtu || this.deps.stackMtu(),
        // Derived from the address, so that the neighbour caches of peers stay valid when a container restarts with it.
        peerMac: macFor(attachment, leases),
        master: index,
        alias: `${DEVICE_MARK}${containerId} ${ifname}`,
      });
    } finally {
      closeSync(file);
    }
    if (!port) throw disappeared(device);
    if (!bridge.icc) socket.isolatePort(port.index);
    const link = requireLink(inside, ifname);
    const gateways = bridge.internal ? [] : leases.map(({ gateway }) => gateway);
    const addresses = leases.map(({ address }) => address);
    inside.configure(link.index, addresses, defaultRoute ? gateways : []);
    for (const { gateway } of leases) {
      const beyond = (bridge.routes ?? []).filter((subnet) => familyOf(subnet) === familyOf(gateway));
      if (beyond.length > 0) inside.addRoutesThrough(link.index, gateway, beyond);
    }
    return {
      cniVersion: '1.0.0',
      interfaces: [
        { name: bridge.device, mac: macOf(bridge.device) },
        { name: device, mac: port.mac },
        { name: ifname, mac: link.mac, sandbox: netns },
      ],
      ips: leases.map(({ address, gateway }) => ({ address, interface: 2, ...(bridge.internal ? {} : { gateway }) })),
      ...(defaultRoute && gateways.length > 0
        ? { routes: gateways.map((gateway) => ({ dst: defaultRouteOf(gateway), gw: gateway })) }
        : {}),
      dns: {},
    };
  }
}

/**
 * Disables duplicate address detection: the link-local address of a bridge is unique. During detection the kernel does not
 * solicit neighbours from a foreign address (a client's), so the first connections over IPv6 would be delayed.
 */
function skipDad(device: string): void {
  try {
    writeFileSync(`/proc/sys/net/ipv6/conf/${device}/accept_dad`, '0');
  } catch {
    // The file does not exist without IPv6.
  }
}

/** Name of the device on the bridge; 15 characters at most. */
export function deviceOf(containerId: string, ifname: string): string {
  return `rnv${createHash('sha256').update(`${containerId} ${ifname}`).digest('hex').slice(0, 12)}`;
}

type NamedInterface = Pick<Attachment, 'containerId' | 'ifname' | 'mac'>;

/** The MAC address of a container's interface. */
function macFor({ containerId, ifname, mac }: NamedInterface, leases: readonly Pick<IpamAddress, 'address'>[]): string {
  return mac ?? macOf(leases[0]?.address ?? deviceOf(containerId, ifname));
}

/** An interface of a container, as the packet filter for egress policies knows it. */
export function policedInterface(
  attachment: NamedInterface & Pick<Attachment, 'network'>,
  leases: readonly Pick<IpamAddress, 'address'>[],
): PolicedInterface {
  const { containerId, ifname, network } = attachment;
  const bridge = bridgeOf(network);
  return {
    ifname,
    device: deviceOf(containerId, ifname),
    mac: macFor(attachment, leases),
    addresses: leases.map(({ address }) => addressOf(address)),
    bridge: bridge.device,
    tunnel: bridge.tunnel,
    bridgeMac: macOf(bridge.device),
    subnets: bridge.rangeSets.flatMap(([range]) => range?.subnet ?? []),
    gateways: gatewaysOf(bridge),
  };
}

/** A locally administered address derived from a text. */
function macOf(text: string): string {
  const bytes = createHash('sha256').update(text).digest();
  return ['02', ...[...bytes.subarray(0, 5)].map((byte) => byte.toString(16).padStart(2, '0'))].join(':');
}

function bridgeOf(network: Network): BridgeNetwork {
  if (!network.bridge) throw new BridgeError(`the network ${network.name} is not a bridge network`);
  return network.bridge;
}

function gatewaysOf({ rangeSets }: BridgeNetwork): string[] {
  return rangeSets.flatMap(([range]) => range?.gateway ?? []);
}

function requireLink(socket: RouteSocket, name: string): Link {
  const link = socket.link(name);
  if (!link) throw disappeared(name);
  return link;
}

function disappeared(name: string): BridgeError {
  return new BridgeError(`the device ${name} has disappeared`);
}

/** Replaces a leftover of an earlier attempt; its peer is removed with it. */
function makeVeth(socket: RouteSocket, veth: VethOptions): Link | undefined {
  try {
    return socket.makeVeth(veth);
  } catch (error) {
    if (!(error instanceof NetlinkError && error.code === 'EEXIST')) throw error;
    socket.deleteLink(veth.name);
    return socket.makeVeth(veth);
  }
}

/** Runs a task; its errors become BridgeErrors. */
function withBridgeErrors<T>(task: () => T): T {
  try {
    return task();
  } catch (error) {
    throw bridgeError(error);
  }
}

function bridgeError(error: unknown): ContainerError {
  if (error instanceof ContainerError) return error;
  const why = error instanceof NetlinkError ? error.message : errorText(error);
  return new BridgeError(`cannot set up the container's network: ${why}`);
}

/**
 * Compares networks with the kernel's state: bridges and their ports, and the packet filter. Leftovers of removed networks
 * are removed; what a running container needs, and another program has removed, is restored.
 */
import { shortId } from '../../../../protocol/containers/short-id.js';
import { RouteSocket } from '../../../netlink/route.js';
import type { Journal } from '../../storage/journal.js';
import type { LiveContainers, Sweep, Sweepable } from '../../storage/sweepable.js';
import type { Attachment } from '../attach-driver.js';
import type { AttachmentStore } from '../attachment-store.js';
import type { EgressPolicies } from '../egress/policies.js';
import type { Network } from '../network.js';
import type { AnswerFilter } from './answer-filter.js';
import { type BridgeDriver, DEVICE_MARK, deviceOf } from './driver.js';
import { elementsOf, type Firewall, type FirewallElement, firewallBridge } from './firewall.js';
import { bridgeProblem, type KernelState, portProblem } from './state.js';

export interface BridgeGarbageDeps {
  networks: { list(): Promise<Network[]> };
  journal: Journal;
  states: AttachmentStore;
  bridges: BridgeDriver;
  firewall: Firewall;
  answers: AnswerFilter;
  policies: Pick<EgressPolicies, 'isDamaged' | 'isCutOff' | 'repair'>;
}

/** One run of the collector. */
interface BridgeSweep extends Pick<Sweep, 'report' | 'containers'> {
  socket: RouteSocket;
  state: KernelState;
}

export class BridgeGarbage implements Sweepable {
  constructor(private readonly deps: BridgeGarbageDeps) {}

  async sweep({ report, containers }: Sweep): Promise<void> {
    using socket = new RouteSocket();
    // Before the networks are listed: the file of a new network is written before its bridge is created.
    const state = { links: socket.links(), addresses: socket.addresses() };
    const networks = (await this.deps.networks.list()).filter(({ bridge }) => bridge !== undefined);
    const sweep: BridgeSweep = { report, containers, socket, state };
    await this.#strayDevices(sweep);
    const used = await this.#used(networks, containers);
    const usedNetworks = used.map(({ network }) => network);
    await this.#bridges(sweep, usedNetworks);
    for (const attachment of used) await this.#port(sweep, attachment);
    await this.#filter(sweep, networks, usedNetworks);
  }

  /** Removes devices of containers that do not run. */
  async #strayDevices({ report, containers, socket, state }: BridgeSweep): Promise<void> {
    for (const { name, alias } of state.links) {
      if (!alias.startsWith(DEVICE_MARK)) continue;
      const [id = ''] = alias.slice(DEVICE_MARK.length).split(' ');
      if (await containers.isLive(id)) continue;
      await report('device', `${name} of ${shortId(id)}, which does not run`, () => socket.deleteLink(name));
    }
  }

  /** The attachments of running containers to these networks. */
  async #used(networks: readonly Network[], containers: LiveContainers): Promise<Attachment[]> {
    const used: Attachment[] = [];
    for (const id of await this.deps.journal.ids()) {
      const entry = await this.deps.journal.read(id);
      if (!entry?.complete || entry.detaching || !(await containers.isLive(id))) continue;
      const { attachments, results } = await this.deps.states.state(id);
      for (const { network: name, interface: ifname, mac } of attachments) {
        const network = networks.find((one) => one.name === name);
        if (!network) continue;
        const defaultRoute = (results[name]?.routes ?? []).length > 0;
        used.push({ containerId: id, ifname, network, netns: entry.netns, mac: mac || undefined, defaultRoute });
      }
    }
    return used;
  }

  async #bridges({ report, state }: BridgeSweep, used: readonly Network[]): Promise<void> {
    for (const network of new Set(used)) {
      const { device = '', rangeSets = [] } = network.bridge ?? {};
      const gateways = rangeSets.flatMap(([range]) => range?.gateway ?? []);
      const problem = bridgeProblem(state, device, gateways);
      if (problem === undefined) continue;
      await report('device', `${device} of the network ${network.name}, which ${problem}`, () =>
        this.deps.bridges.restore(network),
      );
    }
  }

  async #port({ report, containers, state }: BridgeSweep, attachment: Attachment): Promise<void> {
    const { containerId, ifname, network } = attachment;
    // Its interface is down on purpose.
    if (this.deps.policies.isCutOff(containerId)) return;
    const device = deviceOf(containerId, ifname);
    const problem = portProblem(state, device, network.bridge?.device ?? '');
    if (problem === undefined) return;
    await report('device', `${device} of ${containers.nameOf(containerId)}, which ${problem}`, () =>
      containers.whileLive(containerId, () => this.deps.bridges.restorePort(attachment)),
    );
  }

  /** Removes rules and bridges of removed networks, and restores missing rules of existing bridges. */
  async #filter(
    { report, socket, state }: BridgeSweep,
    networks: readonly Network[],
    used: readonly Network[],
  ): Promise<void> {
    const { firewall, answers, policies } = this.deps;
    const { elements, complete } = await firewall.inForce();
    const bridges = networks.map(firewallBridge).filter((bridge) => bridge !== undefined);
    const expected = bridges.flatMap(elementsOf);
    for (const element of elements.filter((one) => !expected.some((other) => isSame(one, other)))) {
      await report('firewall', `${element.value} in the set ${element.set}, which belongs to no network`, () =>
        firewall.drop(element),
      );
    }
    const existing = state.links.filter(({ name, kind }) => kind === 'bridge' && /^(rootless0$|rn-)/.test(name));
    for (const { name } of existing.filter((link) => !bridges.some(({ device }) => device === link.name))) {
      await report('device', `${name}, whose network does not exist`, () => socket.deleteLink(name));
    }
    for (const bridge of bridges) {
      const { device } = bridge;
      const inUse = used.some((network) => network.bridge?.device === device);
      if (!inUse && !existing.some(({ name }) => name === device)) continue;
      if (complete && elementsOf(bridge).every((one) => elements.some((other) => isSame(one, other)))) continue;
      await report('firewall', `rules of ${device}, which are missing`, () => firewall.restore(bridge));
    }
    if (await policies.isDamaged()) {
      await report('firewall', 'rules for egress policies, which are missing', () => policies.repair());
    }
    if (await answers.isDamaged()) {
      await report('firewall', 'rules for the return path to clients, which are missing', () => answers.restore());
    }
  }
}

function isSame(one: FirewallElement, other: FirewallElement): boolean {
  return one.set === other.set && one.value === other.value;
}

/**
 * The overlay networks of the stack, inside: for each its configuration list, bridge, tunnel, and the exchange with the agents
 * of other hosts. What is wanted comes from the parent, whole (OverlayState).
 *
 * Theory of operation. apply() makes what is missing, and changes what differs; it can be repeated, and runs once at a time.
 * A network that is no longer wanted loses its tunnel; its list stays until remove(), since containers refer to it.
 */
import { EventEmitter, once } from 'node:events';
import { errorText } from '../../../../protocol/errors/error-text.js';
import { parseCIDR } from '../../../../protocol/net/cidr.js';
import type {
  OverlayFailure,
  OverlayName,
  OverlayPeerStatus,
  OverlayState,
} from '../../../../protocol/overlay/types.js';
import { printable } from '../../../../protocol/text/printable-text.js';
import type { NameService } from '../../../dns/name-service.js';
import { WireGuardDevice } from '../../../wireguard/device.js';
import type { ParentLink } from '../../parent-link.js';
import { KeyedLock } from '../../storage/lock.js';
import type { BridgeDriver } from '../bridge/driver.js';
import type { Ipam } from '../ipam/ipam.js';
import { firstHost } from '../ipam/subnets.js';
import type { PeerRegistry } from '../name-files/peer-registry.js';
import type { Network } from '../network.js';
import type { NetworkRegistry } from '../registry.js';
import { overlayList, tunnelDevice } from './conflist.js';
import { Exchange } from './exchange.js';
import { foreignContainers, OverlayNameSource, overlayNames } from './names.js';

/** How long after the agent's start containers wait for their network, in ms. */
const FIRST_MS = 10_000;
/** Of what is reported of a failure, in characters. */
const MAX_PROBLEM = 1_000;

export interface OverlayNetworksDeps {
  networks: NetworkRegistry;
  bridges: Pick<BridgeDriver, 'ensure' | 'restore'>;
  ipam: Pick<Ipam, 'keep'>;
  ipamDir: string;
  peers: PeerRegistry;
  parent: Pick<ParentLink, 'request'>;
  /** Gets the names of containers of other hosts. */
  dns: Pick<NameService, 'addSource' | 'changed'>;
  warn: (line: string) => void;
}

interface Active {
  state: OverlayState;
  device: WireGuardDevice;
  exchange: Exchange;
}

export class OverlayNetworks {
  readonly #locks = new KeyedLock();
  /** Emits `applied` whenever what is wanted has been set up. */
  readonly #events = new EventEmitter().setMaxListeners(0);
  /** Until when networks may be set up for the first time. */
  readonly #starting = AbortSignal.timeout(FIRST_MS);
  readonly #active = new Map<string, Active>();
  /** What the parent knows of names here, by network. */
  readonly #reported = new Map<string, string>();
  /** What the hosts files have of other hosts, by network. */
  readonly #seen = new Map<string, string>();

  constructor(private readonly deps: OverlayNetworksDeps) {
    deps.dns.addSource(new OverlayNameSource(this));
    deps.peers.foreign = (network) => foreignContainers(network, this.names(network));
    deps.peers.onChange.push((networks) => {
      for (const name of networks) this.#reportNames(name);
    });
  }

  /** Resolves with the networks that cannot be set up, or not wholly; the others are. */
  apply(states: readonly OverlayState[]): Promise<OverlayFailure[]> {
    return this.#locks.run('apply', async () => {
      for (const name of [...this.#active.keys()]) {
        if (!states.some(({ network }) => network === name)) await this.#close(name);
      }
      const failures: OverlayFailure[] = [];
      for (const state of states) {
        await this.#applyOne(state).catch((error: unknown) => {
          failures.push({ network: state.network, problem: printable(errorText(error), MAX_PROBLEM) });
        });
      }
      this.#events.emit('applied');
      return failures;
    });
  }

  /**
   * Why no container can be attached to a network now; undefined where nothing prevents it. Waits for a while after the start:
   * the parent may have to ask etcd whether this host is the one that it was.
   */
  async problemOf(network: Network): Promise<string | undefined> {
    while (!this.#active.has(network.name) && !this.#starting.aborted) {
      await once(this.#events, 'applied', { signal: this.#starting }).catch(() => {});
    }
    const active = this.#active.get(network.name);
    if (active) return active.state.problem;
    return 'it is not set up; rootless-net overlay status shows why';
  }

  /** Throws WireGuardError and NetlinkError. */
  async status(name: string): Promise<OverlayPeerStatus[]> {
    const active = this.#active.get(name);
    if (!active) return [];
    const reports = await active.device.peers();
    return active.state.peers.map(({ host, publicKey, nextKey }) => {
      const own = reports.filter((report) => report.publicKey === publicKey || report.publicKey === nextKey);
      const last = Math.max(0, ...own.map(({ lastHandshake }) => lastHandshake));
      const sum = (field: 'bytesSent' | 'bytesReceived') => own.reduce((total, report) => total + report[field], 0);
      return {
        host,
        ...(last === 0 ? {} : { handshakeAge: Math.max(0, (Date.now() - last) / 1000) }),
        bytesSent: sum('bytesSent'),
        bytesReceived: sum('bytesReceived'),
        ...active.exchange.statusOf(host),
      };
    });
  }

  /** Names on the network that containers of other hosts have. */
  names(name: string): { host: string; hostName: string; names: readonly OverlayName[] }[] {
    const active = this.#active.get(name);
    if (!active) return [];
    const { state, exchange } = active;
    const lists = state.exchangeNames ? exchange.names() : state.names;
    return lists.map((list) => {
      const hostName = state.peers.find(({ host }) => host === list.host)?.name ?? list.host;
      return { ...list, hostName };
    });
  }

  /** Takes down the tunnel of one that this host leaves. */
  leave(name: string): Promise<void> {
    return this.#locks.run('apply', () => this.#close(name));
  }

  async close(): Promise<void> {
    for (const name of [...this.#active.keys()]) await this.#close(name);
  }

  /** Throws ContainerError, WireGuardError, NetlinkError; what came before the failure is done. */
  async #applyOne(state: OverlayState): Promise<void> {
    const { networks, ipamDir, bridges, ipam } = this.deps;
    const { network: name, subnets } = state;
    const { network, moved } = await networks.ensureOverlay(overlayList(state, ipamDir), state.networks);
    if (moved) {
      await ipam.keep(
        name,
        subnets.flatMap((text) => parseCIDR(text)?.subnet ?? []),
      );
      await bridges.restore(network);
    } else await bridges.ensure(network);
    const active = await this.#ensureActive(state);
    const { device } = active;
    if (active.state.privateKey !== state.privateKey) await device.setPrivateKey(state.privateKey);
    active.state = state;
    await device.configure(
      state.peers.map(({ publicKey, nextKey, address, port, subnets: reached }) => ({
        publicKey,
        nextKey,
        presharedKey: state.presharedKey,
        endpoint: { ip: address, port },
        subnets: reached,
      })),
    );
    active.exchange.setPeers(state.peers);
    this.#reportNames(name);
    this.#namesChanged(name);
  }

  async #ensureActive(state: OverlayState): Promise<Active> {
    const { network: name, subnets } = state;
    const gateway = firstHost(subnets[0] ?? '');
    const known = this.#active.get(name);
    const same = known?.state.port === state.port && known.state.mtu === state.mtu;
    if (known && same && known.exchange.gateway === gateway) return known;
    if (known) await this.#close(name);
    const exchange = await Exchange.open({
      gateway,
      names: () => (this.#active.get(name)?.state.exchangeNames ? this.#ownNames(name) : undefined),
      changed: () => this.#namesChanged(name),
    });
    try {
      const device = await WireGuardDevice.open({
        name: tunnelDevice(name),
        privateKey: state.privateKey,
        listenPort: state.port,
        mtu: state.mtu,
        // What is sent from here, such as pings, comes from the gateway's address, which the bridge has.
        addresses: [],
        warn: this.deps.warn,
      });
      const active = { state, device, exchange };
      this.#active.set(name, active);
      return active;
    } catch (error) {
      exchange.close();
      throw error;
    }
  }

  async #close(name: string): Promise<void> {
    const active = this.#active.get(name);
    this.#active.delete(name);
    this.#reported.delete(name);
    active?.exchange.close();
    await active?.device.close();
    this.#namesChanged(name);
    this.#seen.delete(name);
  }

  #ownNames(name: string): OverlayName[] {
    return overlayNames(this.deps.peers.on(name));
  }

  /** Names of containers of other hosts have changed, or may have. */
  #namesChanged(name: string): void {
    const text = JSON.stringify(this.names(name));
    if ((this.#seen.get(name) ?? '[]') === text) return;
    this.#seen.set(name, text);
    this.deps.dns.changed([name]);
    this.deps.peers.foreignChanged(name).catch((error: unknown) => {
      this.deps.warn(`names of the overlay network ${name}: ${errorText(error)}`);
    });
  }

  #reportNames(name: string): void {
    const active = this.#active.get(name);
    if (!active) return;
    const names = this.#ownNames(name);
    const text = JSON.stringify(names);
    if (this.#reported.get(name) === text) return;
    this.#reported.set(name, text);
    if (active.state.exchangeNames) active.exchange.namesChanged();
    else this.deps.parent.request('overlay-names', { network: name, names }).catch(() => this.#reported.delete(name));
  }
}

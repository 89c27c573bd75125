/**
 * The overlay networks of a stack: what the API and the agent ask for.
 *
 * Theory of operation. The networks are those that have files in the data directory. They are opened when an agent serves
 * containers: it holds the data directory's lock, so that no two stacks are the same member. A network that cannot be opened is
 * warned of, and tried again. The agent gets the state of all of them, whole, at each change, and again when it was replaced.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { OverlayJoined, OverlayReport, OverlayRequest } from '../../protocol/overlay/reports.js';
import { parseToken } from '../../protocol/overlay/token.js';
import type { OverlayMember, OverlayName } from '../../protocol/overlay/types.js';
import { errorText } from '../errors.js';
import type { OverlayAgent } from './agent-link.js';
import { NoSuchOverlayError, OverlayError } from './errors.js';
import { openOverlay, prepareOverlay, tokenOf } from './join.js';
import type { OverlayNetwork } from './network.js';
import type { OverlayPorts } from './ports.js';
import { clearRegistry } from './registry/clear.js';
import { StaticMembership } from './static-membership.js';
import { type OverlayConfig, OverlayStore, storedOverlays } from './store.js';

/** How often each network looks around, in ms. */
const LOOK_MS = 10_000;
/** How long the end of a stack waits for etcd, in ms. */
const CLOSE_MS = 1_000;

export interface OverlaysDeps {
  /** DATA-DIR/overlay. */
  root: string;
  agent: OverlayAgent;
  ports: OverlayPorts;
  /** Opens the egress policy for the tunnel's datagrams to these hosts, and no others; absent where there is none. */
  allowPeers?: ((peers: readonly OverlayMember[]) => void) | undefined;
  /** Resolves when an agent serves containers. Throws ContainersError. */
  ready: () => Promise<void>;
  warn: (line: string) => void;
}

export class Overlays {
  readonly #networks = new Map<string, OverlayNetwork>();
  /** Those that are being left: the agent must not get them again. */
  readonly #leaving = new Set<string>();
  /** Why networks that have files could not be opened. */
  readonly #unopened = new Map<string, string>();
  /** Networks that are being made, joined or left: one request at a time. */
  #changes: Promise<unknown> = Promise.resolve();
  #pushing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(private readonly deps: OverlaysDeps) {}

  /** Opens what there is, and has the agent get it; to be called whenever an agent begins to serve containers. */
  agentReady(): void {
    this.#timer ??= setInterval(() => this.lookAround(), LOOK_MS).unref();
    void this.#exclusively(async () => {
      await this.#openStored();
      if (this.#networks.size > 0) await this.#push();
    }).catch((error: unknown) => this.deps.warn(`overlay networks: ${errorText(error)}`));
  }

  /** To be called when the host's addresses may have changed. */
  lookAround(): void {
    for (const network of this.#networks.values()) void network.lookAround();
    if (storedOverlays(this.deps.root).some((name) => !this.#networks.has(name))) {
      void this.#exclusively(() => this.#openStored()).catch(() => {});
    }
  }

  async list(): Promise<OverlayReport[]> {
    await this.deps.ready();
    await this.#changes.catch(() => {});
    return [...this.#networks.values()].map((network) => network.report([]));
  }

  /** Throws NoSuchOverlayError. */
  async report(name: string): Promise<OverlayReport> {
    await this.deps.ready();
    await this.#changes.catch(() => {});
    return this.#find(name).report(await this.deps.agent.status(name));
  }

  token(name: string): { name: string; token: string } {
    return { name, token: tokenOf(this.#find(name)) };
  }

  /** Makes a network, or joins one. Throws OverlayError, OverlayTokenError, EtcdError …; nothing has changed then. */
  async join(request: OverlayRequest): Promise<OverlayJoined> {
    await this.deps.ready();
    const token = request.token === undefined ? undefined : parseToken(request.token);
    const name = token?.name ?? request.name;
    if (name === undefined) throw new OverlayError('the network needs a name, or a token', {}, 400);
    return this.#exclusively(async () => {
      const known = this.#networks.get(name);
      if (known && token?.kind === 'static' && known.membership instanceof StaticMembership) {
        if (known.config.presharedKey !== token.presharedKey) throw otherNetwork(name);
        known.membership.merge(token, known.config.host);
        await known.refresh();
        return joined(known);
      }
      const store = new OverlayStore(this.deps.root, name);
      if (known || store.exists()) {
        throw new OverlayError(`this host is a member of the overlay network ${name} already`, {
          hint: `rootless-net overlay leave ${name}`,
        });
      }
      let config: OverlayConfig | undefined;
      try {
        config = await prepareOverlay(request, store, token);
        return joined(await this.#open(store, name, true));
      } catch (error) {
        await this.#discard(name, store);
        // Nobody else has the token of a network that could not be made.
        if (!token && config?.etcd && config.registry?.own) await clearRegistry(config.etcd).catch(() => {});
        throw error;
      }
    });
  }

  /** Throws OverlayError, EtcdError … */
  async rotate(name: string): Promise<void> {
    await this.#find(name).rotate();
  }

  /** @param member name or id. Throws OverlayError, EtcdError … */
  async expel(name: string, member: string): Promise<{ host: string; name: string }> {
    const network = this.#find(name);
    const found = network.find(member);
    await network.membership.expel(found);
    return { host: found.host, name: found.name };
  }

  /**
   * Leaves a network: no container may be on it. With `remove` the network is removed from the registry too, which has to
   * have no other members unless `force`. Throws APIError of the agent, OverlayError, EtcdError …
   */
  async leave(name: string, { remove = false, force = false } = {}): Promise<void> {
    await this.deps.ready();
    await this.#exclusively(async () => {
      const network = this.#find(name);
      if (remove && !force && network.membership.peers.length > 0 && network.config.mode === 'etcd') {
        const others = network.membership.peers
          .map((peer) => peer.name)
          .slice(0, 5)
          .join(', ');
        throw new OverlayError(`the overlay network ${name} has other members: ${others}`, {
          hint: `have them leave first, or use --force; to leave with this host only: rootless-net overlay leave ${name}`,
        });
      }
      const { etcd } = network.config;
      const reachable = await network.membership.requireReachable().then(
        () => true,
        (error: unknown) => {
          if (force) return false;
          const hint = '--force leaves without etcd, which frees the subnet after a day';
          throw new OverlayError(`cannot leave ${name}: ${errorText(error)}`, { hint }, 503);
        },
      );
      await this.#leaveAgent(name);
      try {
        await network.close(reachable).catch(() => network.close(false));
        this.#networks.delete(name);
        new OverlayStore(this.deps.root, name).remove();
      } finally {
        this.#leaving.delete(name);
      }
      await this.#push();
      if (remove && etcd && reachable) await clearRegistry(etcd);
    });
  }

  /** Throws APIError where containers use it, and then it stays as it is. */
  async #leaveAgent(name: string): Promise<void> {
    this.#leaving.add(name);
    // What is on its way to the agent has arrived before.
    await this.#pushing;
    try {
      await this.deps.agent.remove(name);
    } catch (error) {
      this.#leaving.delete(name);
      this.#networks.get(name)?.changed();
      throw error;
    }
  }

  /** Names of containers here, as the agent reports them; those of unknown networks are ignored. */
  setNames(name: string, names: readonly OverlayName[]): void {
    this.#networks.get(name)?.setNames(names);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    const closing = [...this.#networks.values()].map((network) => network.close(false));
    await Promise.race([Promise.allSettled(closing), delay(CLOSE_MS, undefined, { ref: false })]);
  }

  /** Throws NoSuchOverlayError. */
  #find(name: string): OverlayNetwork {
    const network = this.#networks.get(name);
    if (network) return network;
    if (storedOverlays(this.deps.root).includes(name)) {
      throw new OverlayError(
        `the overlay network ${name} cannot be opened: ${this.#unopened.get(name) ?? 'try again'}`,
      );
    }
    throw new NoSuchOverlayError(name);
  }

  async #openStored(): Promise<void> {
    for (const name of storedOverlays(this.deps.root)) {
      if (this.#closed || this.#networks.has(name)) continue;
      const store = new OverlayStore(this.deps.root, name);
      await this.#open(store, name, false).then(
        () => this.#unopened.delete(name),
        (error: unknown) => {
          const text = errorText(error);
          if (this.#unopened.get(name) !== text) this.deps.warn(`cannot open the overlay network ${name}: ${text}`);
          this.#unopened.set(name, text);
        },
      );
    }
  }

  async #open(store: OverlayStore, name: string, wait: boolean): Promise<OverlayNetwork> {
    const { ports, warn } = this.deps;
    const network = await openOverlay({ store, ports, push: () => this.#push(name), warn }, wait);
    if (this.#closed) {
      await network.close(false);
      throw new OverlayError('the stack is ending');
    }
    this.#networks.set(name, network);
    if (wait) await network.refresh();
    else network.changed();
    return network;
  }

  /** Undoes a join. */
  async #discard(name: string, store: OverlayStore): Promise<void> {
    const network = this.#networks.get(name);
    this.#networks.delete(name);
    await network?.close(true).catch(() => network.close(false));
    if (network) await this.deps.agent.remove(name).catch(() => {});
    store.remove();
  }

  /** One after the other: the last one has the newest state. Throws OverlayError where the agent cannot set up that network. */
  #push(name?: string): Promise<void> {
    const pushed = this.#pushing.then(async () => {
      const networks = [...this.#networks].filter(([one]) => !this.#leaving.has(one)).map(([, network]) => network);
      const states = networks.map((network) => network.state()).filter((state) => state !== undefined);
      this.deps.allowPeers?.(states.flatMap(({ peers }) => peers));
      const failures = new Map((await this.deps.agent.apply(states)).map(({ network, problem }) => [network, problem]));
      for (const network of networks) network.applied(failures.get(network.config.name));
      const failure = failures.get(name ?? '');
      if (failure !== undefined) throw new OverlayError(failure);
    });
    this.#pushing = pushed.catch(() => {});
    return pushed;
  }

  #exclusively<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#changes.catch(() => {}).then(task);
    this.#changes = done;
    return done;
  }
}

function joined(network: OverlayNetwork): OverlayJoined {
  return { name: network.config.name, subnets: [...(network.membership.subnets ?? [])], token: tokenOf(network) };
}

function otherNetwork(name: string): OverlayError {
  return new OverlayError(`this host is a member of another overlay network ${name}`, {
    hint: 'the token belongs to a network of the same name; leave this one first',
  });
}

/**
 * A WireGuard device in the stack's network namespace: encrypted way to other hosts, each a peer with subnets of its own.
 *
 * Theory of operation. The device is the kernel's own, or else wireguard-go's (implementation.ts). It gets the key, the port, its
 * addresses and the list of peers (wanted.ts), and a route for each of their subnets. What was configured is kept here:
 *
 *   up     → changes are made at once
 *   lost   → wireguard-go has ended, and the device and its routes with it. It is started again with everything, at once and
 *            then after longer and longer waits; changes meanwhile are kept for that. Peers are looked for where they were last heard
 *            from: those that only connect to others would not be found, and do not notice that the session is lost
 *   closed → nothing is left
 *
 * Its packets leave by the network of the stack, from `listenPort`, which has to be a published UDP port: that is where peers
 * send to. A peer's endpoint is the address of a host. Where the device hears of a peer from elsewhere it answers there
 * from then on, so that hosts behind a NAT, or with a new address, are found if they can reach this one.
 *
 * New keys, without a gap: each peer gets the next public key in its list (Peer.nextKey) before setPrivateKey() is called; by the
 * handshake that follows each of them sees that it is in use.
 */
import { errnoName, errorText } from '../../protocol/errors/error-text.js';
import { WireGuardError } from '../../protocol/wireguard/errors.js';
import { type Key, keyBytes } from '../../protocol/wireguard/keys.js';
import { RouteSocket } from '../netlink/route.js';
import type { Endpoint, Implementation, PeerChange, PeerReport } from './implementation.js';
import { KernelWireGuard } from './kernel.js';
import { parseEndpoint } from './uapi.js';
import { changesBetween, checkPeers, type Peer, subnetsOf, type Wanted, wantedPeers } from './wanted.js';
import { WireGuardGo } from './wireguard-go.js';

/** How often it is looked for handshakes with next keys, in ms, and for how long; later with the endpoints. */
const NEXT_KEY_INTERVAL = 100;
const NEXT_KEY_SOON = 60_000;
const FIRST_RESTART_DELAY = 100;
const LONGEST_RESTART_DELAY = 10_000;
/** How often the peers' endpoints are noted, in ms. */
const ENDPOINT_INTERVAL = 10_000;
/** After so long, in ms, an end is the first one again. */
const STABLE = 30_000;

export interface WireGuardOptions {
  /** Of the device, 15 characters at most. */
  name: string;
  privateKey: Key;
  /** UDP port in the stack's namespace. */
  listenPort: number;
  /** See protocol/wireguard/mtu.ts. */
  mtu: number;
  /** Of the device itself, in CIDR notation: what the stack's own programs send from. */
  addresses: readonly string[];
  /** Called with a line that is worth a warning. */
  warn(line: string): void;
}

export type { Endpoint, PeerReport } from './implementation.js';
export type { Peer } from './wanted.js';

export class WireGuardDevice {
  #privateKey: Key;
  #peers: readonly Peer[] = [];
  /** Next keys that have taken over. */
  #moved = new Set<Key>();
  /** Where peers were last heard from. */
  readonly #heardFrom = new Map<Key, Endpoint>();
  readonly #noting: NodeJS.Timeout;
  /** What the device has now. */
  #present: Wanted = new Map();
  #routes: readonly string[] = [];
  #device: Implementation | undefined;
  #tasks: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #looking = false;
  #restart: NodeJS.Timeout | undefined;
  #restartDelay = FIRST_RESTART_DELAY;
  #upSince = 0;
  #closed = false;

  private constructor(private readonly options: WireGuardOptions) {
    this.#privateKey = options.privateKey;
    this.#noting = setInterval(() => {
      if (this.#isWaiting && this.#timer === undefined) this.#look();
      else void this.peers().catch(() => {});
    }, ENDPOINT_INTERVAL).unref();
  }

  /** Makes the device, without peers. Throws WireGuardError or NetlinkError, and then nothing of it is left. */
  static async open(options: WireGuardOptions): Promise<WireGuardDevice> {
    keyBytes(options.privateKey);
    if (!/^[\w.-]{1,15}$/.test(options.name)) throw new WireGuardError(`invalid name of a device: ${options.name}`);
    const device = new WireGuardDevice(options);
    try {
      await device.#serially(() => device.#start());
    } catch (error) {
      await device.close();
      throw error;
    }
    return device;
  }

  /** What it is made of; undefined while it is lost. */
  get kind(): Implementation['kind'] | undefined {
    return this.#device?.kind;
  }

  /**
   * From now on it has these peers, and no others; what did not change stays as it is. Throws WireGuardError, or NetlinkError
   * such as for a subnet that is on another device.
   */
  async configure(peers: readonly Peer[]): Promise<void> {
    checkPeers(peers);
    await this.#serially(async () => {
      for (const { publicKey, endpoint } of peers) {
        const before = this.#peers.find((peer) => peer.publicKey === publicKey)?.endpoint;
        if (JSON.stringify(endpoint) !== JSON.stringify(before)) this.#heardFrom.delete(publicKey);
      }
      const keys = new Set(peers.flatMap(({ publicKey, nextKey }) => [publicKey, nextKey]));
      for (const key of this.#heardFrom.keys()) if (!keys.has(key)) this.#heardFrom.delete(key);
      this.#peers = peers;
      this.#moved = new Set(peers.flatMap(({ nextKey }) => (nextKey && this.#moved.has(nextKey) ? [nextKey] : [])));
      await this.#apply();
    });
  }

  /** As the device has them; empty while it is lost. Throws WireGuardError or NetlinkError. */
  async peers(): Promise<PeerReport[]> {
    const peers = (await this.#device?.peers()) ?? [];
    for (const { publicKey, endpoint } of peers) {
      const heardFrom = parseEndpoint(endpoint);
      if (heardFrom) this.#heardFrom.set(publicKey, heardFrom);
    }
    return peers;
  }

  /** Uses another key from now on, and makes that known to all peers at once. */
  async setPrivateKey(privateKey: Key): Promise<void> {
    keyBytes(privateKey);
    await this.#serially(async () => {
      this.#privateKey = privateKey;
      // A keepalive that is turned on is sent, and begins a handshake.
      const kept = [...this.#present.values()].filter(({ keepalive }) => keepalive > 0);
      const off = kept.map(({ publicKey }) => ({ publicKey, keepalive: 0 }));
      const on = kept.map(({ publicKey, keepalive }) => ({ publicKey, keepalive }));
      await this.#device?.set({ privateKey, peers: off });
      await this.#device?.set({ peers: on });
    });
  }

  /** Resolves when nothing of it is left. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    clearInterval(this.#noting);
    clearTimeout(this.#restart);
    await this.#serially(async () => {
      await this.#device?.close();
      this.#device = undefined;
    });
  }

  /** One after the other: each sees what the one before it has done. */
  #serially<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#tasks.then(task);
    this.#tasks = result.catch(() => {});
    return result;
  }

  async #start(): Promise<void> {
    const { name, listenPort, mtu, addresses } = this.options;
    const device = KernelWireGuard.make(name) ?? (await WireGuardGo.start(name));
    try {
      using routes = new RouteSocket();
      const link = routes.link(name);
      if (link === undefined) throw new WireGuardError(`the device ${name} has disappeared`);
      routes.setMtu(link.index, mtu);
      routes.addAddresses(link.index, addresses);
      // Before the port is set: that fails where it is in use, while bringing the device up does not.
      routes.setUp(link.index);
      await device.set({ privateKey: this.#privateKey });
      await setPort(device, listenPort);
      this.#device = device;
      this.#present = new Map();
      this.#routes = [];
      await this.#apply();
      device.onLost = (reason) => this.#onLost(reason);
      this.#upSince = performance.now();
    } catch (error) {
      this.#device = undefined;
      await device.close();
      throw error;
    }
  }

  /** Changes the device to what is wanted. */
  async #apply(): Promise<void> {
    if (this.#device === undefined) return;
    const wanted = wantedPeers(this.#peers, this.#moved);
    const changes = changesBetween(this.#present, wanted);
    if (changes.length > 0) await this.#device.set({ peers: this.#present.size > 0 ? changes : this.#found(changes) });
    this.#present = wanted;
    this.#routePeers();
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (!this.#isWaiting || this.#closed) return;
    const until = performance.now() + NEXT_KEY_SOON;
    this.#timer = setInterval(() => {
      this.#look();
      // A host that has gone with its next key announced never uses that.
      if (performance.now() > until) {
        clearInterval(this.#timer);
        this.#timer = undefined;
      }
    }, NEXT_KEY_INTERVAL);
  }

  /** Whether a peer is about to use another key. */
  get #isWaiting(): boolean {
    return this.#peers.some(({ nextKey }) => nextKey !== undefined && !this.#moved.has(nextKey));
  }

  /** Not again before the one before has ended: wireguard-go may hang. */
  #look(): void {
    if (this.#looking) return;
    this.#looking = true;
    void this.#serially(() => this.#lookForNextKeys()).finally(() => {
      this.#looking = false;
    });
  }

  /** For a device without peers: with the endpoints where those were last heard from. */
  #found(changes: readonly PeerChange[]): PeerChange[] {
    return changes.map((change) => {
      const endpoint = this.#heardFrom.get(change.publicKey);
      return endpoint ? { ...change, endpoint } : change;
    });
  }

  #routePeers(): void {
    const wanted = subnetsOf(this.#peers);
    const before = this.#routes;
    using routes = new RouteSocket();
    const index = routes.link(this.options.name)?.index;
    // It has just been lost.
    if (index === undefined) return;
    routes.deleteRoutes(
      index,
      before.filter((subnet) => !wanted.includes(subnet)),
    );
    const kept = before.filter((subnet) => wanted.includes(subnet));
    this.#routes = kept;
    // One that fails keeps no other from being reached.
    const failures: unknown[] = [];
    for (const subnet of wanted.filter((one) => !kept.includes(one))) {
      try {
        routes.addRoutes(index, [subnet]);
        this.#routes = [...this.#routes, subnet];
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  /** Peers whose next key has been used get everything by that one. */
  async #lookForNextKeys(): Promise<void> {
    if (!this.#isWaiting || this.#device === undefined) return;
    try {
      const known = new Set((await this.peers()).flatMap((peer) => (peer.lastHandshake > 0 ? [peer.publicKey] : [])));
      const seen = this.#peers.flatMap(({ nextKey }) =>
        nextKey !== undefined && known.has(nextKey) && !this.#moved.has(nextKey) ? [nextKey] : [],
      );
      if (seen.length === 0) return;
      for (const key of seen) this.#moved.add(key);
      await this.#apply();
    } catch (error) {
      // Where it has ended, that is reported.
      if (this.#device !== undefined) this.options.warn(`${this.options.name}: ${errorText(error)}`);
    }
  }

  #onLost(reason: string): void {
    this.#device = undefined;
    if (this.#closed) return;
    this.options.warn(`wireguard-go of ${this.options.name} ended (${reason}); restarting it`);
    if (performance.now() - this.#upSince > STABLE) this.#restartDelay = FIRST_RESTART_DELAY;
    this.#startLater();
  }

  #startLater(): void {
    this.#restart = setTimeout(() => {
      void this.#serially(async () => {
        if (this.#closed) return;
        await this.#start();
      }).catch((error: unknown) => {
        if (this.#closed) return;
        this.options.warn(`${this.options.name} cannot be set up again: ${errorText(error)}`);
        this.#startLater();
      });
    }, this.#restartDelay);
    this.#restartDelay = Math.min(2 * this.#restartDelay, LONGEST_RESTART_DELAY);
  }
}

/** Throws WireGuardError. */
async function setPort(device: Implementation, listenPort: number): Promise<void> {
  try {
    await device.set({ listenPort });
  } catch (error) {
    if (errnoName(error) !== 'EADDRINUSE') throw error;
    throw new WireGuardError(`UDP port ${listenPort} is in use in the namespace`);
  }
}

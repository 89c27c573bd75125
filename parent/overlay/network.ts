/**
 * One overlay network on this host: its files, its membership, its port, and the keys.
 *
 * Theory of operation. Whatever changes (members, names, keys, addresses of the host) leads to refresh(), which has the agent
 * get the whole state; it runs once at a time, and once more if something changed meanwhile.
 *
 * A key is replaced without a break: the new one is announced as `nextKey`; after ROTATION_MS, when all members have it as a
 * second peer without addresses, the device changes to it, and it is announced as the key, which moves the addresses. Where this
 * process ends between, the old key is still in its file, or the new one already: both are known to the members.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { cidrContains } from '../../protocol/net/cidr.js';
import type { OverlayReport } from '../../protocol/overlay/reports.js';
import type { OverlayMember, OverlayName, OverlayPeerStatus, OverlayState } from '../../protocol/overlay/types.js';
import { VERSION } from '../../protocol/version.js';
import { generateKeys, type KeyPair } from '../../protocol/wireguard/keys.js';
import { tunnelMtu } from '../../protocol/wireguard/mtu.js';
import { StackUnreachableError } from '../client/errors.js';
import { errorText } from '../errors.js';
import { OverlayError } from './errors.js';
import type { Announcement, Membership } from './membership.js';
import type { OverlayPort } from './ports.js';
import type { RegistryMembership } from './registry/membership.js';
import type { OverlayConfig, OverlayStore } from './store.js';

/** How long members have to learn the next key, in ms. */
const ROTATION_MS = 10_000;
/** Names are announced once in this time, in ms, for each hundred of them: the agent that reports them is not trusted. */
const NAMES_MS = 500;
/** Age at which a key is replaced, in ms. */
const KEY_AGE_MS = 30 * 24 * 3600 * 1000;
/** Of a host whose device is not known. */
const USUAL_MTU = 1500;

export interface OverlayNetworkDeps {
  config: OverlayConfig;
  store: OverlayStore;
  port: OverlayPort;
  /** The address of this host now; "" where none is known. */
  address: () => string;
  /** Of the host's device with an address, in bytes; undefined where none has it. */
  mtuAt: (address: string) => number | undefined;
  /** Has the agent get the state of all networks. */
  push: () => Promise<void>;
  warn: (line: string) => void;
  /** In ms, instead of ROTATION_MS; for tests. */
  rotationMs?: number;
}

export class OverlayNetwork {
  #keys: KeyPair;
  #next: KeyPair | undefined;
  #membership: Membership | undefined;
  #refreshing: Promise<void> | undefined;
  #again = false;
  #rotating = false;
  #closed = false;
  #announced = '';
  /** Why the agent does not have the state. */
  #failure: string | undefined;
  #mtu: number | undefined;
  #warned = '';
  #warnedOfLook = '';
  #names: readonly OverlayName[] = [];
  #namesTimer: NodeJS.Timeout | undefined;
  /** When names are announced again at the earliest, on the clock of performance.now(). */
  #nextNames = Number.NEGATIVE_INFINITY;
  readonly #closing = new AbortController();

  constructor(private readonly deps: OverlayNetworkDeps) {
    this.#keys = deps.store.keyPair();
  }

  get config(): OverlayConfig {
    return this.deps.config;
  }

  get membership(): Membership {
    if (!this.#membership) throw new OverlayError(`the network ${this.config.name} is being set up; try again`);
    return this.#membership;
  }

  /** To be called once, before anything else. */
  use(membership: Membership): void {
    this.#membership = membership;
  }

  /** What this host announces of itself. Throws OverlayError where its address is not known. */
  announcement(): Announcement {
    const { host, hostName, port, name } = this.config;
    const address = this.config.address ?? this.deps.address();
    if (address === '') {
      throw new OverlayError(`the address of this host is not known, for the network ${name}`, {
        hint: '--address ADDRESS, at which other hosts reach this one',
      });
    }
    const nextKey = this.#next?.publicKey;
    return {
      ...{ host, name: hostName, address, port, publicKey: this.#keys.publicKey },
      ...(nextKey === undefined ? {} : { nextKey }),
    };
  }

  /** This host as a member; undefined before it has subnets. */
  self(): OverlayMember | undefined {
    const { subnets } = this.membership;
    return subnets && { ...this.announcement(), subnets: [...subnets] };
  }

  /** Undefined before this host has subnets. */
  state(): OverlayState | undefined {
    const { name, networks, internal, host, hostName, port, presharedKey, mode } = this.config;
    const { subnets, peers, names, condition, reason } = this.membership;
    if (!subnets) return undefined;
    const barred = condition !== 'ready' && condition !== 'waiting';
    return {
      ...{ network: name, networks, internal, host, hostName, port, names: [...names] },
      subnets: [...subnets],
      privateKey: this.#keys.privateKey,
      ...(presharedKey === undefined ? {} : { presharedKey }),
      peers: [...peers],
      exchangeNames: mode === 'static',
      mtu: this.#tunnelMtu(),
      ...(barred ? { problem: reason ?? condition } : {}),
    };
  }

  /** As it was at the start: devices of running containers keep theirs. */
  #tunnelMtu(): number {
    this.#mtu ??= tunnelMtu(this.deps.mtuAt(this.deps.address()) ?? USUAL_MTU);
    return this.#mtu;
  }

  /** Resolves when the agent has what is known now. Throws its errors. */
  refresh(): Promise<void> {
    this.#again = true;
    this.#refreshing ??= this.#refreshAll();
    return this.#refreshing;
  }

  async #refreshAll(): Promise<void> {
    try {
      while (this.#again && !this.#closed) {
        this.#again = false;
        this.#failure = undefined;
        await this.deps.push();
      }
    } finally {
      // At once: what changes from now on is for the next one.
      this.#refreshing = undefined;
    }
  }

  /** Like refresh(), for changes that nobody waits for. */
  changed(): void {
    this.refresh().catch((error: unknown) => {
      // It gets everything when there is one again.
      const isAway = error instanceof StackUnreachableError;
      if (isAway) this.#failure = this.#warned = errorText(error);
      else this.applied(errorText(error));
    });
  }

  /** @param failure why the agent could not set it up; undefined where it has */
  applied(failure: string | undefined): void {
    this.#failure = failure;
    if (failure === undefined) return;
    if (!this.#closed && failure !== this.#warned) this.deps.warn(failure);
    this.#warned = failure;
  }

  /** As the agent reports them, which is not trusted: addresses of others are left out, and changes wait for a while. */
  setNames(names: readonly OverlayName[]): void {
    const { subnets = [] } = this.membership;
    this.#names = names.flatMap(({ name, addresses }) => {
      const own = addresses.filter((ip) => subnets.some((subnet) => cidrContains(subnet, ip)));
      return own.length > 0 ? [{ name, addresses: own }] : [];
    });
    if (this.#namesTimer) return;
    this.#namesTimer = setTimeout(
      () => {
        this.#namesTimer = undefined;
        this.#nextNames = performance.now() + NAMES_MS * Math.ceil((this.#names.length + 1) / 100);
        if (!this.#closed) this.membership.setNames(this.#names);
      },
      Math.max(0, this.#nextNames - performance.now()),
    );
  }

  /** To be called from time to time, and when the host's addresses may have changed. */
  async lookAround(): Promise<void> {
    try {
      const text = JSON.stringify(this.announcement());
      if (this.#announced !== '' && text !== this.#announced) await this.announce();
      if (this.#failure !== undefined) this.changed();
      await this.#rotateOldKey();
      this.#warnedOfLook = '';
    } catch (error) {
      const text = errorText(error);
      if (text !== this.#warnedOfLook && !this.#closed) this.deps.warn(text);
      this.#warnedOfLook = text;
    }
  }

  /** Throws what Membership.announce() throws; the membership announces it later then. */
  async announce(): Promise<void> {
    const announcement = this.announcement();
    this.#announced = JSON.stringify(announcement);
    await this.membership.announce(announcement);
    const { store } = this.deps;
    const lease = store.lease();
    if (lease && lease.address !== announcement.address) {
      store.writeLease({ ...lease, address: announcement.address });
    }
  }

  /** As soon as etcd answers. Throws OverlayError. */
  announceLater(membership: RegistryMembership): void {
    const announcement = this.announcement();
    membership.start(announcement);
    this.#announced = JSON.stringify(announcement);
  }

  /** Replaces the key. Throws OverlayError, EtcdError, EtcdUnreachableError. */
  async rotate(): Promise<void> {
    const { config, store } = this.deps;
    if (config.mode === 'static') {
      throw new OverlayError(
        'the key of a static network cannot be replaced: other hosts would not learn of the new one',
        {
          hint: 'leave and join again on this host, and give its new token to the others',
        },
      );
    }
    if (this.#rotating) throw new OverlayError('the key is being replaced already');
    this.#rotating = true;
    try {
      const next = generateKeys();
      this.#next = next;
      await this.announce();
      await delay(this.deps.rotationMs ?? ROTATION_MS, undefined, { signal: this.#closing.signal }).catch(() => {
        throw new OverlayError(`the network ${config.name} is being closed`);
      });
      store.writeKey(next);
      this.#keys = next;
      this.#next = undefined;
      const lease = store.lease();
      if (lease) store.writeLease({ ...lease, keyMade: Date.now() });
      // At the same time: until both are done, packets are lost.
      await Promise.all([this.refresh(), this.announce()]);
    } finally {
      // Where that has failed, lookAround() announces that there is no next key.
      this.#next = undefined;
      this.#rotating = false;
    }
  }

  async #rotateOldKey(): Promise<void> {
    const { config, store } = this.deps;
    const lease = store.lease();
    if (config.mode === 'static' || !lease || this.#rotating || this.membership.condition !== 'ready') return;
    const age = Date.now() - (lease.keyMade ?? Number.POSITIVE_INFINITY);
    // Unknown, or made in the future: the clock has been set.
    if (!(age >= 0)) store.writeLease({ ...lease, keyMade: Date.now() });
    else if (age > KEY_AGE_MS) await this.rotate();
  }

  report(statuses: readonly OverlayPeerStatus[]): OverlayReport {
    const { name, mode, networks, internal, etcd } = this.config;
    const { peers } = this.membership;
    const isReady = this.membership.condition === 'ready';
    const { condition, reason } =
      isReady && this.#failure !== undefined
        ? { condition: 'failed' as const, reason: this.#failure }
        : this.membership;
    const own = this.self();
    const row = (member: OverlayMember, self: boolean) => {
      const { nextKey: _, ...shown } = member;
      const { host: __, ...status } = statuses.find(({ host }) => host === member.host) ?? { host: '' };
      const alive = self ? true : this.membership.isAlive(member.host);
      return {
        ...shown,
        self,
        ...status,
        ...(alive === undefined ? {} : { alive }),
        ...(self ? { version: VERSION } : {}),
      };
    };
    return {
      ...{ name, mode, networks, internal, condition },
      ...(reason === undefined ? {} : { reason }),
      ...(etcd ? { endpoints: etcd.endpoints, prefix: etcd.prefix } : {}),
      members: [...(own ? [row(own, true)] : []), ...peers.map((peer) => row(peer, false))],
    };
  }

  /** Throws OverlayError where no member, or more than one, has that name or id. */
  find(text: string): OverlayMember {
    const found = this.membership.peers.filter(({ host, name }) => name === text || host === text);
    if (found.length === 1 && found[0]) return found[0];
    if (found.length > 1)
      throw new OverlayError(`several members have the name ${text}`, {
        hint: 'use the host id of overlay status --json',
      });
    const byPrefix = text.length >= 4 ? this.membership.peers.filter(({ host }) => host.startsWith(text)) : [];
    if (byPrefix.length === 1 && byPrefix[0]) return byPrefix[0];
    throw new OverlayError(
      `the network ${this.config.name} has no other member ${text}`,
      { hint: 'rootless-net overlay status shows them' },
      404,
    );
  }

  /** @param leave whether the subnets are given back; throws what Membership.leave() throws */
  async close(leave: boolean): Promise<void> {
    if (this.#closed) return;
    if (leave) await this.membership.leave();
    this.#closed = true;
    this.#closing.abort();
    clearTimeout(this.#namesTimer);
    if (!leave) await this.#membership?.close();
    await this.#refreshing?.catch(() => {});
    await this.deps.port.close().catch(() => {});
  }
}

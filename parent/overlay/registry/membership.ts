/**
 * Membership in a network whose registry is in etcd (layout.ts).
 *
 * Theory of operation. All keys are followed (etcd/follow.ts). After each change, and every KEEP_MS, settle() compares
 * what etcd has of this host with what it should have, and corrects it, by transactions that compare:
 *
 *   alive    on a lease of 30 s. One of another process is not replaced, unless that is the one that this host's files name as
 *            the last, on the same boot: then it was killed. Otherwise a copy of this disk runs: `duplicate`, until it ends
 *   share    the subnets of the last time where they are free, others where not; on a lease of a day, which outlasts the
 *            process. Taken by another host while this one runs: `lost` until the stack is started again
 *   names    on the lease of `alive`
 *
 * Where etcd does not answer, the condition is `waiting`, and the last picture stays in force: the data plane does not
 * depend on etcd. No clock is compared with another host's: all that expires does so by leases, which etcd's leader times.
 */
import { randomUUID } from 'node:crypto';
import type { OverlayCondition } from '../../../protocol/overlay/reports.js';
import type { OverlayMember, OverlayName, OverlayNames } from '../../../protocol/overlay/types.js';
import { VERSION } from '../../../protocol/version.js';
import { errorText } from '../../errors.js';
import { OverlayError } from '../errors.js';
import type { Change, EtcdClient } from '../etcd/client.js';
import { Following, type Picture } from '../etcd/follow.js';
import type { Announcement, Membership } from '../membership.js';
import type { OverlayStore } from '../store.js';
import {
  ALIVE_TTL,
  type Alive,
  formatShare,
  isFlannelHost,
  keys,
  type NetworkConfig,
  parseAlive,
  parseSubnetKey,
  SHARE_TTL,
} from './layout.js';
import { overlap, type RegistryPicture, readPicture } from './picture.js';
import { bootId, hostIn, newShare } from './share.js';

/** How often leases are kept alive, in ms; several of these fit into the shorter lease. */
const KEEP_MS = 8_000;
/** Every so many times the share's lease is, too. */
const KEEP_SHARE_EVERY = 60;
/** How long further changes are waited for, in ms. */
const SETTLE_MS = 10;
/** etcd allows 128 in a transaction unless configured otherwise. */
const MAX_CHANGES = 100;

export interface RegistryMembershipDeps {
  client: EtcdClient;
  prefix: string;
  config: NetworkConfig;
  store: OverlayStore;
  /** Identity of this host. */
  host: string;
  /** Called when anything of the interface may have changed. */
  changed: () => void;
  warn: (line: string) => void;
}

export class RegistryMembership implements Membership {
  condition: OverlayCondition = 'waiting';
  reason: string | undefined = 'etcd has not answered yet';
  #subnets: readonly string[] | undefined;
  #registry: RegistryPicture | undefined;
  #keys: Picture = new Map();
  #following: Following | undefined;
  #self: Announcement | undefined;
  #names: readonly OverlayName[] = [];
  #aliveLease: string | undefined;
  #shareLease: string | undefined;
  #held = false;
  #settling: Promise<void> = Promise.resolve();
  #queued = false;
  #timer: NodeJS.Timeout | undefined;
  #looking: NodeJS.Timeout | undefined;
  #rounds = 0;
  #closed = false;
  readonly #instance = randomUUID();
  readonly #boot = bootId();

  constructor(private readonly deps: RegistryMembershipDeps) {
    this.#subnets = deps.store.lease()?.subnets;
  }

  get subnets(): readonly string[] | undefined {
    return this.#subnets;
  }

  get peers(): readonly OverlayMember[] {
    // Before the first answer, the picture of the last time.
    if (!this.#registry) return this.deps.store.peers().members;
    if (this.condition === 'expelled') return [];
    return [...this.#registry.members.values()].filter(({ host }) => host !== this.deps.host);
  }

  get names(): readonly OverlayNames[] {
    const names = this.#registry?.names ?? this.deps.store.peers().names;
    return names.filter(({ host }) => host !== this.deps.host);
  }

  isAlive(host: string): boolean | undefined {
    return isFlannelHost(host) ? undefined : this.#registry?.alive.has(host);
  }

  /** Resolves when it is in etcd. */
  async announce(self: Announcement): Promise<void> {
    this.#self = self;
    if (!this.#following) this.#follow();
    await this.#settle({ throwing: true });
  }

  /** The same without waiting: with the last picture, where etcd is away. */
  start(self: Announcement): void {
    this.#self = self;
    this.#follow();
  }

  setNames(names: readonly OverlayName[]): void {
    this.#names = names;
    this.#kick();
  }

  async expel({ host, name, publicKey, nextKey }: OverlayMember): Promise<void> {
    const { client, prefix } = this.deps;
    const at = keys(prefix);
    const record = JSON.stringify({ host, name, keys: nextKey === undefined ? [publicKey] : [publicKey, nextKey] });
    const share = [...this.#keys.keys()].filter((key) => key.startsWith(at.subnets) && this.#hostOf(key) === host);
    const names = [...this.#keys.keys()].filter((key) => key.startsWith(at.namesAll) && key.endsWith(`/${host}`));
    await client.transaction(
      [],
      [{ put: at.expelled(host), value: record }, { delete: at.alive(host) }, ...share.map((key) => ({ delete: key }))],
    );
    await this.#change(names.map((key) => ({ delete: key })));
  }

  async requireReachable(): Promise<void> {
    await this.deps.client.get(keys(this.deps.prefix).config);
  }

  async leave(): Promise<void> {
    const { client, prefix, host } = this.deps;
    const [subnets, key] = [this.#subnets, keys(prefix)];
    await this.#stop();
    if (subnets && this.condition !== 'lost') {
      const share = await client.get(key.subnet(subnets));
      if (share && hostIn(share.value) === host) {
        const at = { key: share.key, modRevision: share.modRevision };
        await client.transaction([at], [{ delete: share.key }]);
      }
    }
    if (this.#aliveLease !== undefined) await client.revoke(this.#aliveLease);
    client.close();
  }

  async close(): Promise<void> {
    await this.#stop();
    const { client } = this.deps;
    if (this.#aliveLease !== undefined) await client.revoke(this.#aliveLease).catch(() => {});
    client.close();
  }

  async #stop(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    clearTimeout(this.#looking);
    await this.#following?.close();
    await this.#settling;
  }

  #follow(): void {
    const { client, prefix } = this.deps;
    this.#following = new Following(client, keys(prefix).all, {
      onPicture: (picture) => this.#onPicture(picture),
      onLost: (error) => this.#onLost(error),
    });
    this.#timer = setInterval(() => void this.#keep(), KEEP_MS).unref();
  }

  /** Changes that come together are looked at together. */
  #onPicture(picture: Picture): void {
    this.#keys = picture;
    if (this.#closed) return;
    this.#looking ??= setTimeout(() => {
      this.#looking = undefined;
      if (!this.#closed) this.#look(this.#keys);
    }, SETTLE_MS);
  }

  #look(picture: Picture): void {
    const { prefix, config, store, host } = this.deps;
    this.#registry = readPicture(prefix, picture, config);
    store.writePeers({ members: [...this.peers], names: [...this.names] });
    if (this.#registry.expelled.some((one) => one.host === host || one.keys.includes(this.#self?.publicKey ?? ''))) {
      this.#set(
        'expelled',
        'another member has expelled this host; leave the network, and join again with a new token',
      );
    }
    this.deps.changed();
    this.#kick();
  }

  #onLost(error: unknown): void {
    if (this.condition === 'ready' || this.condition === 'waiting') this.#set('waiting', errorText(error));
  }

  #set(condition: OverlayCondition, reason?: string): void {
    if (this.condition === condition && this.reason === reason) return;
    const before = this.condition;
    this.condition = condition;
    this.reason = reason;
    if (before !== condition && condition !== 'ready') this.deps.warn(reason ?? condition);
    this.deps.changed();
  }

  /** Whether this host no longer takes part. */
  get #isOut(): boolean {
    return this.#closed || this.condition === 'expelled' || this.condition === 'lost';
  }

  async #keep(): Promise<void> {
    if (this.#isOut) return;
    const { client } = this.deps;
    try {
      if (this.#aliveLease !== undefined && !(await client.keepAlive(this.#aliveLease))) this.#aliveLease = undefined;
      if (this.#shareLease !== undefined && this.#rounds++ % KEEP_SHARE_EVERY === 0) {
        if (!(await client.keepAlive(this.#shareLease))) this.#shareLease = undefined;
      }
      this.#kick();
    } catch (error) {
      this.#onLost(error);
    }
  }

  #kick(): void {
    if (this.#queued || this.#isOut || !this.#self) return;
    this.#queued = true;
    this.#settle({ throwing: false }).catch(() => {});
  }

  #settle({ throwing }: { throwing: boolean }): Promise<void> {
    const settled = this.#settling.then(async () => {
      this.#queued = false;
      if (this.#isOut || !this.#self) {
        if (throwing) throw new OverlayError(this.reason ?? 'the network has been left');
        return;
      }
      try {
        await this.#settleNow(this.#self);
      } catch (error) {
        this.#onLost(error);
        if (throwing) throw error;
      }
    });
    this.#settling = settled.catch(() => {});
    return settled;
  }

  async #settleNow(self: Announcement): Promise<void> {
    if (!(await this.#ensureAlive(self))) {
      throw new OverlayError(this.reason ?? 'another process has the identity of this host');
    }
    await this.#ensureShare(self);
    await this.#ensureNames();
    this.#set('ready');
  }

  /** Whether this process is the one with this identity. */
  async #ensureAlive(self: Announcement): Promise<boolean> {
    const { client, prefix, store, host } = this.deps;
    const key = keys(prefix).alive(host);
    const value: Alive = { name: self.name, version: VERSION, instance: this.#instance, boot: this.#boot };
    const text = JSON.stringify(value);
    if (this.#aliveLease !== undefined && this.#keys.get(key)?.value === text) return true;
    const existing = await client.get(key);
    const other = existing && parseAlive(existing.value);
    const last = store.lease();
    const isOurs = other?.instance === this.#instance;
    const isPredecessor = other?.instance === last?.instance && other?.boot === this.#boot;
    if (existing && !isOurs && !isPredecessor) {
      this.#set(
        'duplicate',
        `another process has the identity of this host (${other?.name ?? 'unknown'}): a copy of this disk, or this host before it was restarted, then this ends within ${ALIVE_TTL} s; hint: on a copy, rootless-net overlay leave and join again`,
      );
      return false;
    }
    const lease = this.#aliveLease ?? (await client.grant(ALIVE_TTL));
    this.#aliveLease = lease;
    const condition = existing ? { key, modRevision: existing.modRevision } : ({ key, version: '0' } as const);
    if (!(await client.transaction([condition], [{ put: key, value: text, lease }]))) return this.#ensureAlive(self);
    if (last) store.writeLease({ ...last, instance: this.#instance, boot: this.#boot });
    return true;
  }

  /** Throws OverlayError. */
  async #ensureShare(self: Announcement): Promise<void> {
    const { client, prefix, store } = this.deps;
    const at = keys(prefix);
    const subnets = this.#ownShare() ?? this.#chosenShare();
    const key = at.subnet(subnets);
    const value = formatShare({ ...self, subnets: [...subnets] });
    const known = this.#keys.get(key);
    if (this.#held && known?.value === value && known.lease === this.#shareLease) return;
    const existing = await client.get(key);
    if (existing && hostIn(existing.value) !== this.deps.host) return this.#taken(existing.value, subnets);
    if (existing?.value === value && (this.#shareLease === existing.lease || existing.lease !== '0')) {
      this.#shareLease ??= existing.lease;
    } else {
      const lease = existing && existing.lease !== '0' ? existing.lease : await client.grant(SHARE_TTL);
      const condition = existing ? { key, modRevision: existing.modRevision } : ({ key, version: '0' } as const);
      if (!(await client.transaction([condition], [{ put: key, value, lease }]))) {
        // Another host was faster; the list shows which.
        this.#keys = new Map((await client.list(at.all)).entries.map((entry) => [entry.key, entry]));
        return this.#ensureShare(self);
      }
      this.#shareLease = lease;
    }
    this.#held = true;
    const last = store.lease();
    const isNew = last?.subnets.join() !== subnets.join();
    if (isNew || last?.instance !== this.#instance) {
      store.writeLease({ ...last, subnets: [...subnets], instance: this.#instance, boot: this.#boot });
    }
    this.#subnets = subnets;
    if (isNew) this.deps.changed();
  }

  /** Another host has our subnets. Throws OverlayError where that cannot be helped now. */
  async #taken(value: string, subnets: readonly string[]): Promise<void> {
    const who = hostIn(value) ?? 'a flanneld';
    if (this.#held) {
      const why = `the subnet ${subnets.join(', ')} of this host was taken by another one (${who}) while etcd was not reached; containers here keep running, but are no longer reached; hint: restart the stack, for another subnet`;
      this.#set('lost', why);
      throw new OverlayError(why);
    }
    this.#subnets = undefined;
    if (this.#self) await this.#ensureShare(this.#self);
  }

  /** What the registry has for this host, whatever the files name. */
  #ownShare(): readonly string[] | undefined {
    const { prefix, host } = this.deps;
    const { subnets } = keys(prefix);
    const own = [...this.#keys.keys()].filter((key) => key.startsWith(subnets) && this.#hostOf(key) === host);
    const found = own.map((key) => parseSubnetKey(key.slice(subnets.length)) ?? []);
    return found.find((one) => one.join() === this.#subnets?.join()) ?? found[0];
  }

  /** The subnets of the last time, or free ones. Throws OverlayError. */
  #chosenShare(): readonly string[] {
    const { prefix, config } = this.deps;
    const { subnets } = keys(prefix);
    const used = [...this.#keys.keys()]
      .filter((key) => key.startsWith(subnets))
      .flatMap((key) => parseSubnetKey(key.slice(subnets.length)) ?? []);
    if (this.#subnets && (this.#held || !overlap(this.#subnets, used))) return this.#subnets;
    return newShare(config, used);
  }

  #hostOf(key: string): string | undefined {
    return hostIn(this.#keys.get(key)?.value ?? '');
  }

  async #ensureNames(): Promise<void> {
    const { prefix, host } = this.deps;
    const at = keys(prefix);
    const lease = this.#aliveLease;
    if (lease === undefined) return;
    const wanted = new Map(
      this.#names.map(({ name, addresses }) => [at.name(name, host), JSON.stringify({ a: addresses })]),
    );
    const changes: Change[] = [];
    for (const [key, entry] of this.#keys) {
      if (!key.startsWith(at.namesAll) || !key.endsWith(`/${host}`)) continue;
      if (!wanted.has(key)) changes.push({ delete: key });
      else if (entry.value === wanted.get(key) && entry.lease === lease) wanted.delete(key);
    }
    for (const [key, value] of wanted) changes.push({ put: key, value, lease });
    await this.#change(changes);
  }

  async #change(changes: readonly Change[]): Promise<void> {
    for (let at = 0; at < changes.length; at += MAX_CHANGES) {
      await this.deps.client.transaction([], changes.slice(at, at + MAX_CHANGES));
    }
  }
}

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
 * depend on etcd. At a start it waits for etcd, DECIDE_MS at most: a copy of a disk is not to take part for a moment, nor a
 * host whose subnets are another's now. No clock is compared with another host's: all that expires does so by leases, which etcd's leader times.
 */
import { randomUUID } from 'node:crypto';
import type { OverlayCondition } from '../../../protocol/overlay/reports.js';
import type { OverlayMember, OverlayName, OverlayNames } from '../../../protocol/overlay/types.js';
import { VERSION } from '../../../protocol/version.js';
import { errorText } from '../../errors.js';
import { OverlayError } from '../errors.js';
import type { EtcdClient } from '../etcd/client.js';
import { Following, type Picture } from '../etcd/follow.js';
import type { Announcement, Membership } from '../membership.js';
import type { OverlayStore } from '../store.js';
import { expelMember } from './expel.js';
import {
  ALIVE_TTL,
  type Alive,
  formatShare,
  isFlannelHost,
  keys,
  type NetworkConfig,
  parseAlive,
  parseExpelled,
  SHARE_TTL,
} from './layout.js';
import { inParts, nameChanges } from './names.js';
import { overlap, type RegistryPicture, readPicture } from './picture.js';
import { bootId, hostIn, shareOf } from './share.js';

/** How often leases are kept alive, in ms; several of these fit into the shorter lease. */
const KEEP_MS = 8_000;
/** Every so many times the share's lease is, too. */
const KEEP_SHARE_EVERY = 60;
/** How long further changes are waited for, in ms. */
const SETTLE_MS = 10;
/** How long etcd may take to confirm the files of a start, in ms; then they count. */
const DECIDE_MS = 3_000;
/** How often a change of this host's own keys is tried, where others change them at the same time. */
const MAX_TRIES = 16;

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
  /** Whether etcd has answered, or has not in time. */
  #decided = false;
  #settling: Promise<void> = Promise.resolve();
  #queued = false;
  #timer: NodeJS.Timeout | undefined;
  #looking: NodeJS.Timeout | undefined;
  #deciding: NodeJS.Timeout | undefined;
  #rounds = 0;
  #keeping = false;
  #warnedOfFile = false;
  #closed = false;
  readonly #instance = randomUUID();
  readonly #boot = bootId();

  constructor(private readonly deps: RegistryMembershipDeps) {
    this.#subnets = deps.store.lease()?.subnets;
  }

  get subnets(): readonly string[] | undefined {
    // Whether they are still this host's is not known before.
    return this.#decided ? this.#subnets : undefined;
  }

  get peers(): readonly OverlayMember[] {
    // None where a tunnel would be of no use, or would take the traffic of a process with the same key.
    return this.condition === 'expelled' || this.condition === 'duplicate' ? [] : this.#others();
  }

  #others(): readonly OverlayMember[] {
    // Before the first answer, the picture of the last time.
    const members = this.#registry ? [...this.#registry.members.values()] : this.deps.store.peers().members;
    const own = this.#subnets ?? [];
    // What is on the bridge here cannot be routed to another member that has taken the subnet.
    return members.filter(({ host, subnets }) => host !== this.deps.host && !overlap(subnets, own));
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
    this.#deciding = setTimeout(() => this.#decided || this.#set('waiting', this.reason), DECIDE_MS).unref();
  }

  setNames(names: readonly OverlayName[]): void {
    this.#names = names;
    this.#kick();
  }

  async expel(member: OverlayMember): Promise<void> {
    await expelMember(this.deps, this.#keys, member);
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
      if (this.#shareLease !== undefined) await client.revoke(this.#shareLease);
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
    clearTimeout(this.#deciding);
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
    this.#save(store);
    const key = this.#self?.publicKey ?? '';
    if (this.#registry.expelled.some((one) => one.host === host || one.keys.includes(key))) {
      this.#set('expelled', 'another member has expelled this host; hint: leave the network, and join again');
    }
    this.deps.changed();
    this.#kick();
  }

  /** Where it cannot be written, the file of before stays, and this goes on. */
  #save(store: OverlayStore): void {
    try {
      store.writePeers({ members: this.condition === 'expelled' ? [] : [...this.#others()], names: [...this.names] });
      this.#warnedOfFile = false;
    } catch (error) {
      if (!this.#warnedOfFile) this.deps.warn(errorText(error));
      this.#warnedOfFile = true;
    }
  }

  #onLost(error: unknown): void {
    if (this.condition === 'ready' || this.condition === 'waiting') this.#set('waiting', errorText(error));
  }

  #set(condition: OverlayCondition, reason?: string): void {
    const before = this.condition;
    const isFirst = !this.#decided;
    this.#decided = true;
    this.condition = condition;
    this.reason = reason;
    if (before === condition && !isFirst) return;
    if (before !== condition && condition !== 'ready') this.deps.warn(reason ?? condition);
    this.deps.changed();
  }

  /** Whether this host no longer takes part. */
  get #isOut(): boolean {
    return this.#closed || this.condition === 'expelled' || this.condition === 'lost';
  }

  async #keep(): Promise<void> {
    if (this.#isOut || this.#keeping) return;
    const { client } = this.deps;
    this.#keeping = true;
    try {
      if (this.#aliveLease !== undefined && !(await client.keepAlive(this.#aliveLease))) this.#aliveLease = undefined;
      if (this.#shareLease !== undefined && this.#rounds++ % KEEP_SHARE_EVERY === 0) {
        if (!(await client.keepAlive(this.#shareLease))) this.#shareLease = undefined;
      }
      this.#kick();
    } catch (error) {
      this.#onLost(error);
    } finally {
      this.#keeping = false;
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
    const { prefix, host } = this.deps;
    // What was removed with that is not to be put there again.
    if (parseExpelled(this.#keys.get(keys(prefix).expelled(host))?.value ?? '')?.host === host) return;
    if (!(await this.#ensureAlive(self))) {
      throw new OverlayError(this.reason ?? 'another process has the identity of this host');
    }
    await this.#ensureShare(self);
    await this.#ensureNames();
    this.#set('ready');
  }

  /** Whether this process is the one with this identity. */
  async #ensureAlive(self: Announcement, tries = MAX_TRIES): Promise<boolean> {
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
    if (!(await client.transaction([condition], [{ put: key, value: text, lease }]))) {
      if (tries <= 1) throw new OverlayError('others change the keys of this host in etcd all the time');
      return this.#ensureAlive(self, tries - 1);
    }
    if (last) store.writeLease({ ...last, instance: this.#instance, boot: this.#boot });
    return true;
  }

  /** Throws OverlayError. */
  async #ensureShare(self: Announcement, tries = MAX_TRIES): Promise<void> {
    if (tries === 0) throw new OverlayError('other hosts take every subnet that this one chooses');
    const { client, prefix, store, config, host } = this.deps;
    const subnets = shareOf(this.#keys, { prefix, config, host, last: this.#subnets, held: this.#held });
    const key = keys(prefix).subnet(subnets);
    const value = formatShare({ ...self, subnets: [...subnets] });
    const known = this.#keys.get(key);
    if (this.#held && known?.value === value && known.lease === this.#shareLease) return;
    const existing = await client.get(key);
    if (existing && hostIn(existing.value) !== host) {
      await this.#taken(existing.value, subnets);
      return this.#ensureShare(self, tries - 1);
    }
    const leased = existing && existing.lease !== '0' ? existing.lease : undefined;
    if (leased === undefined || existing?.value !== value) {
      const lease = leased ?? (await client.grant(SHARE_TTL));
      const condition = existing ? { key, modRevision: existing.modRevision } : ({ key, version: '0' } as const);
      if (!(await client.transaction([condition], [{ put: key, value, lease }]))) {
        // Another host was faster; the list shows which.
        if (leased === undefined) await client.revoke(lease);
        await this.#list();
        return this.#ensureShare(self, tries - 1);
      }
      this.#shareLease = lease;
    } else this.#shareLease = leased;
    this.#held = true;
    const last = store.lease();
    const isNew = last?.subnets.join() !== subnets.join();
    if (isNew || last?.instance !== this.#instance) {
      store.writeLease({ ...last, subnets: [...subnets], instance: this.#instance, boot: this.#boot });
    }
    this.#subnets = subnets;
    if (isNew) this.deps.changed();
  }

  /** Another host has our subnets: others are to be chosen. Throws OverlayError where that cannot be done now. */
  async #taken(value: string, subnets: readonly string[]): Promise<void> {
    const who = hostIn(value) ?? 'a flanneld';
    if (this.#held) {
      const why = `the subnet ${subnets.join(', ')} of this host was taken by another one (${who}) while etcd was not reached; containers here keep running, but are no longer reached; hint: restart the stack, for another subnet`;
      this.#set('lost', why);
      throw new OverlayError(why);
    }
    this.#subnets = undefined;
    await this.#list();
  }

  async #list(): Promise<void> {
    const { client, prefix } = this.deps;
    this.#keys = new Map((await client.list(keys(prefix).all)).entries.map((entry) => [entry.key, entry]));
  }

  async #ensureNames(): Promise<void> {
    const { client, prefix, host } = this.deps;
    const lease = this.#aliveLease;
    if (lease === undefined) return;
    await inParts(client, nameChanges(this.#keys, this.#names, { prefix, host, lease }));
  }
}

/**
 * The names and addresses of containers on each network, for the hosts files of their peers: `meta.json` and `hosts` of each
 * container, in the format of nerdctl's hosts store. When a container joins or leaves, the hosts files of all containers on
 * its networks are rewritten. meta.json of a container of this engine exists from `create` to `rm`; `attached` is whether
 * it is on its networks now.
 */
import { existsSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { shortId } from '../../../../protocol/containers/short-id.js';
import type { AttachmentReport } from '../../../../protocol/containers/types.js';
import { addressOf } from '../../../../protocol/net/cidr.js';
import { namesIn, readJSON, readText, remove, writeJSON } from '../../storage/atomic-files.js';
import { KeyedLock } from '../../storage/lock.js';
import type { Sweep, Sweepable } from '../../storage/sweepable.js';
import type { CNIResult } from '../cni/executor/types.js';
import { type ExtraHost, type HostsContainer, type HostsEntry, peerLines, renderHosts, writeInPlace } from './hosts.js';

/** A container of this engine, on networks or not. */
export interface Peer {
  id: string;
  name: string;
  hostname: string;
  domainname?: string | undefined;
  extraHosts: readonly ExtraHost[];
}

/** A container that is on networks. */
export interface Member extends Peer {
  state: { attachments: AttachmentReport[]; results: Record<string, CNIResult> };
  /** By network. */
  aliases: Record<string, string[]>;
}

/** meta.json; the keys in lower case are additions to nerdctl's. */
interface Meta {
  Namespace: string;
  ID: string;
  Networks: Record<string, CNIResult>;
  Hostname: string;
  ExtraHosts: Record<string, string>;
  Name: string;
  Domainname: string;
  extraHosts: readonly ExtraHost[];
  aliases: Record<string, string[]>;
  attached: boolean;
}

/** nerdctl's default namespace. */
const NAMESPACE = 'default';

const metaSchema = z.looseObject({
  ID: z.string(),
  Networks: z.record(z.string(), z.looseObject({ ips: z.array(z.looseObject({ address: z.string() })).optional() })),
  Hostname: z.string(),
  ExtraHosts: z.record(z.string(), z.string()),
  Name: z.string(),
  Domainname: z.string(),
  extraHosts: z.array(z.object({ host: z.string(), ip: z.string() })),
  aliases: z.record(z.string(), z.array(z.string())),
  attached: z.boolean().default(true),
});

export class PeerRegistry implements Sweepable {
  /** Called with the networks on which names of containers here may have changed. */
  readonly onChange: ((networks: readonly string[]) => void)[] = [];
  /** Called when the files are written after a container has joined or left, here or on another host. */
  onWritten: () => Promise<void> = async () => {};
  /** Containers of other hosts on a network; see foreignChanged(). */
  foreign: (network: string) => readonly HostsContainer[] = () => [];
  readonly #locks = new KeyedLock();
  /** The content of each container's meta.json. */
  readonly #members = new Map<string, Meta>();
  /** Ids of the containers whose hosts file has to be written. */
  readonly #stale = new Set<string>();

  constructor(
    /** Contains a directory for each container. */
    private readonly directory: string,
  ) {}

  /** Reads all meta.json; incomplete ones are ignored. */
  async load(): Promise<void> {
    for (const id of await namesIn(this.directory)) {
      const meta = await this.#read(id);
      if (meta?.attached) this.#members.set(id, meta);
    }
  }

  /** The containers that are on networks, each with the path of its network namespace, "" if that is unknown. */
  attached(): (HostsContainer & { netns: string })[] {
    return [...this.#members.values()].map((meta) => ({ ...toPeer(meta), netns: netnsOf(meta) }));
  }

  /** The registered name of a container; undefined where it is on no network. */
  nameOf(id: string): string | undefined {
    return this.#members.get(id)?.Name;
  }

  /** The name of the container with that address; undefined for none. */
  nameAt(address: string): string | undefined {
    for (const meta of this.#members.values()) {
      const has = Object.values(meta.Networks).some(({ ips = [] }) =>
        ips.some((ip) => addressOf(ip.address) === address),
      );
      if (has) return meta.Name;
    }
    return undefined;
  }

  /** The containers on a network, each with that network alone. */
  on(network: string): HostsContainer[] {
    return [...this.#members.values()].map(toPeer).flatMap((container) => {
      const networks = container.networks.filter(({ name }) => name === network);
      return networks.length > 0 ? [{ ...container, networks }] : [];
    });
  }

  /** To be called when the result of foreign() has changed for a network. Resolves when the hosts files are written. */
  foreignChanged(network: string): Promise<void> {
    return this.#refresh([network], undefined);
  }

  /** Registers a container, or updates its entry. Resolves when the files of its peers are written. */
  async join(member: Member): Promise<void> {
    const before = this.#members.get(member.id);
    const meta = metaOf(member, member.state.results, { aliases: member.aliases, attached: true });
    this.#members.set(member.id, meta);
    this.#notify([...(before ? networksOf(before) : []), ...networksOf(meta)]);
    await this.#writeMeta(meta);
    await this.#refresh([...(before ? networksOf(before) : []), ...networksOf(meta)], member.id);
  }

  /** Writes meta.json of a container of this engine that is on no network now; keeps its last networks. */
  async note(person: Peer): Promise<void> {
    const { Networks = {}, aliases = {} } = (await this.#read(person.id)) ?? {};
    await this.#writeMeta(metaOf(person, Networks, { aliases, attached: false }));
    this.#notify(Object.keys(Networks));
  }

  /** Removes a container. Resolves when the files of its peers are written. */
  async leave(id: string, { own }: { own: boolean }): Promise<void> {
    const before = this.#members.get(id);
    this.#members.delete(id);
    if (before) this.#notify(networksOf(before));
    if (own) {
      if (before) await this.#writeMeta({ ...before, attached: false });
    } else {
      await remove(this.#file(id, 'meta.json'));
      // The directory of a container of another OCI runtime is empty then.
      try {
        rmdirSync(join(this.directory, id));
      } catch {
        // It is not empty, or does not exist.
      }
    }
    if (!before) return;
    await this.prepare(id, before.extraHosts, []);
    await this.#refresh(networksOf(before), undefined);
  }

  /** Names and addresses of the others on a container's networks, as its hosts file has them. */
  peersOf(id: string): HostsEntry[] {
    const meta = this.#members.get(id);
    return meta ? this.#entriesOf(meta).filter(({ own }) => own !== true) : [];
  }

  /** Writes a hosts file whose container is on no network yet. */
  prepare(id: string, extraHosts: readonly ExtraHost[], own: readonly HostsEntry[]): Promise<void> {
    return this.#locks.run(id, () => this.#write(id, extraHosts, () => own));
  }

  /** Finds members that do not run, or have another name by now, and hosts files that differ from what they should be. */
  async sweep({ containers, report }: Sweep): Promise<void> {
    for (const id of [...this.#members.keys()]) {
      if (await containers.isLive(id)) continue;
      await report('meta', `meta.json of ${shortId(id)}, which does not run`, () =>
        containers.unlessLive(id, () => this.leave(id, { own: containers.isOwn(id) })),
      );
    }
    for (const { id, name } of containers.own()) {
      const known = this.nameOf(id);
      if (known === undefined || known === name) continue;
      await report('meta', `meta.json of ${name}, where it is ${known}`, () => containers.publishPeerNames(id));
    }
    for (const meta of [...this.#members.values()]) {
      const current = await readText(this.#file(meta.ID, 'hosts'));
      // Containers of other OCI runtimes have none.
      if (current === undefined) continue;
      if (current === renderHosts({ current, extraHosts: meta.extraHosts, entries: this.#entriesOf(meta) })) continue;
      await report('hosts', `hosts of ${shortId(meta.ID)}`, () =>
        this.prepare(meta.ID, meta.extraHosts, this.#entriesOf(meta)),
      );
    }
  }

  #notify(networks: readonly string[]): void {
    for (const listener of this.onChange) listener(networks);
  }

  /** Concurrent changes are combined, so that each file is written once. */
  async #refresh(networks: readonly string[], also: string | undefined): Promise<void> {
    for (const meta of this.#members.values()) {
      if (meta.ID === also || networksOf(meta).some((name) => networks.includes(name))) this.#stale.add(meta.ID);
    }
    await this.#locks.run('refresh', async () => {
      const stale = [...this.#stale];
      this.#stale.clear();
      for (const id of stale) {
        const meta = this.#members.get(id);
        if (meta) await this.#locks.run(id, () => this.#write(id, meta.extraHosts, () => this.#entriesOf(meta)));
      }
    });
    await this.onWritten();
  }

  #entriesOf(meta: Meta): HostsEntry[] {
    const self = toPeer(meta);
    const foreign = self.networks.flatMap(({ name }) => this.foreign(name));
    return peerLines({ self, peers: [...this.#members.values()].map(toPeer).concat(foreign) });
  }

  async #write(id: string, extraHosts: readonly ExtraHost[], entries: () => readonly HostsEntry[]): Promise<void> {
    const path = this.#file(id, 'hosts');
    // Containers of other OCI runtimes have none; an error for each of them at each change would take long.
    const current = existsSync(path) ? await readText(path) : undefined;
    if (current === undefined) return;
    await writeInPlace(path, renderHosts({ current, extraHosts, entries: entries() }));
  }

  /** Undefined if it does not exist, or is incomplete. */
  async #read(id: string): Promise<Meta | undefined> {
    const { data } = metaSchema.safeParse(await readJSON(this.#file(id, 'meta.json')));
    return data?.ID === id ? (data as unknown as Meta) : undefined;
  }

  #writeMeta(meta: Meta): Promise<void> {
    return writeJSON(this.#file(meta.ID, 'meta.json'), meta, 0o644);
  }

  #file(id: string, name: string): string {
    return join(this.directory, id, name);
  }
}

function metaOf(
  { id, name, hostname, domainname = '', extraHosts }: Peer,
  networks: Record<string, CNIResult>,
  own: Pick<Meta, 'aliases' | 'attached'>,
): Meta {
  return {
    Namespace: NAMESPACE,
    ID: id,
    Networks: networks,
    Hostname: hostname,
    ExtraHosts: Object.fromEntries(extraHosts.map(({ host, ip }) => [host, ip])),
    Name: name,
    Domainname: domainname,
    extraHosts,
    ...own,
  };
}

function networksOf(meta: Meta): string[] {
  return Object.keys(meta.Networks);
}

function netnsOf(meta: Meta): string {
  const interfaces = Object.values(meta.Networks).flatMap((result) => result.interfaces ?? []);
  return interfaces.find(({ sandbox }) => sandbox)?.sandbox ?? '';
}

function toPeer(meta: Meta): HostsContainer {
  return {
    id: meta.ID,
    name: meta.Name,
    hostname: meta.Hostname,
    ...(meta.Domainname === '' ? {} : { domainname: meta.Domainname }),
    networks: Object.entries(meta.Networks).map(([name, result]) => ({
      name,
      ips: (result.ips ?? []).map(({ address }) => addressOf(address)),
      aliases: meta.aliases[name] ?? [],
    })),
  };
}

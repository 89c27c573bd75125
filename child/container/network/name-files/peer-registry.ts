/**
 * Who is on which network under which name: `meta.json` and `hosts` of each container, in the form of nerdctl's hosts
 * store. The hosts files of all that share a network with somebody who comes or goes are written anew.
 */
import { rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import type { AttachmentReport } from '../../protocol/containers.js';
import type { CNIResult } from './cni/types.js';
import {
  type ExtraHost,
  type HostsContainer,
  type HostsEntry,
  peerLines,
  renderHosts,
  writeInPlace,
} from './files/hosts.js';
import { KeyedLock } from './lock.js';
import { namesIn, readJSON, readText, remove, writeJSON } from './state-files.js';

/** A container that is on networks, or wants to know who is. */
export interface Member {
  id: string;
  name: string;
  hostname: string;
  domainname?: string | undefined;
  extraHosts: readonly ExtraHost[];
  state: { attachments: AttachmentReport[]; results: Record<string, CNIResult> };
  /** By network. */
  aliases: Record<string, string[]>;
}

/** meta.json; what begins with a small letter is ours. */
interface Meta {
  ID: string;
  Networks: Record<string, CNIResult>;
  Hostname: string;
  ExtraHosts: Record<string, string>;
  Name: string;
  Domainname: string;
  extraHosts: readonly ExtraHost[];
  aliases: Record<string, string[]>;
}

const metaSchema = z.looseObject({
  ID: z.string(),
  Networks: z.record(z.string(), z.looseObject({ ips: z.array(z.looseObject({ address: z.string() })).optional() })),
  Hostname: z.string(),
  ExtraHosts: z.record(z.string(), z.string()),
  Name: z.string(),
  Domainname: z.string(),
  extraHosts: z.array(z.object({ host: z.string(), ip: z.string() })),
  aliases: z.record(z.string(), z.array(z.string())),
});

export class PeerBook {
  readonly #locks = new KeyedLock();
  /** What meta.json of each container says. */
  readonly #members = new Map<string, Meta>();
  /** Ids of containers whose hosts file is to be written. */
  readonly #stale = new Set<string>();

  constructor(
    /** Has a directory for each container. */
    private readonly directory: string,
  ) {}

  /** Reads what there is. What is torn counts as not there. */
  async load(): Promise<void> {
    for (const id of await namesIn(this.directory)) {
      const value = await readJSON(this.#file(id, 'meta.json'));
      if (metaSchema.safeParse(value).data?.ID === id) this.#members.set(id, value as Meta);
    }
  }

  /** The name that a container has here; undefined where it is not on any network. */
  nameOf(id: string): string | undefined {
    return this.#members.get(id)?.Name;
  }

  /** Enters a container, or what has changed of it. Resolves when its peers' files say so. */
  async join(member: Member): Promise<void> {
    const before = this.#members.get(member.id);
    const meta: Meta = {
      ID: member.id,
      Networks: member.state.results,
      Hostname: member.hostname,
      ExtraHosts: Object.fromEntries(member.extraHosts.map(({ host, ip }) => [host, ip])),
      Name: member.name,
      Domainname: member.domainname ?? '',
      extraHosts: member.extraHosts,
      aliases: member.aliases,
    };
    this.#members.set(member.id, meta);
    await writeJSON(this.#file(member.id, 'meta.json'), meta, 0o644);
    await this.#refresh([...(before ? networksOf(before) : []), ...networksOf(meta)], member.id);
  }

  /** Strikes a container out. Resolves when its peers' files say so. */
  async leave(id: string): Promise<void> {
    const before = this.#members.get(id);
    this.#members.delete(id);
    await remove(this.#file(id, 'meta.json'));
    // That of a container that we do not run ourselves is empty then.
    await rmdir(join(this.directory, id)).catch(() => {});
    if (!before) return;
    await this.prepare(id, before.extraHosts, []);
    await this.#refresh(networksOf(before), undefined);
  }

  /** Writes a hosts file before its container is on any network. */
  prepare(id: string, extraHosts: readonly ExtraHost[], own: readonly HostsEntry[]): Promise<void> {
    return this.#locks.run(id, () => this.#write(id, extraHosts, own));
  }

  ids(): string[] {
    return [...this.#members.keys()];
  }

  /** Ids of containers whose hosts file is not as it should be; with `repair` they are written anew. */
  async check(repair: boolean): Promise<string[]> {
    const wrong: string[] = [];
    for (const meta of this.#members.values()) {
      const current = await readText(this.#file(meta.ID, 'hosts'));
      // Containers that are not ours have none.
      if (current === undefined) continue;
      if (current === renderHosts({ current, extraHosts: meta.extraHosts, entries: this.#entriesOf(meta) })) continue;
      wrong.push(meta.ID);
      if (repair) await this.prepare(meta.ID, meta.extraHosts, this.#entriesOf(meta));
    }
    return wrong;
  }

  /** Many that come at once have the files written once. */
  async #refresh(networks: readonly string[], also: string | undefined): Promise<void> {
    for (const meta of this.#members.values()) {
      if (meta.ID === also || networksOf(meta).some((name) => networks.includes(name))) this.#stale.add(meta.ID);
    }
    await this.#locks.run('refresh', async () => {
      const stale = [...this.#stale];
      this.#stale.clear();
      for (const id of stale) {
        const meta = this.#members.get(id);
        if (meta) await this.prepare(id, meta.extraHosts, this.#entriesOf(meta));
      }
    });
  }

  #entriesOf(meta: Meta): HostsEntry[] {
    return peerLines({ self: toPeer(meta), peers: [...this.#members.values()].map(toPeer) });
  }

  async #write(id: string, extraHosts: readonly ExtraHost[], entries: readonly HostsEntry[]): Promise<void> {
    const path = this.#file(id, 'hosts');
    const current = await readText(path);
    // Containers that are not ours have none.
    if (current === undefined) return;
    await writeInPlace(path, renderHosts({ current, extraHosts, entries }));
  }

  #file(id: string, name: string): string {
    return join(this.directory, id, name);
  }
}

function networksOf(meta: Meta): string[] {
  return Object.keys(meta.Networks);
}

function toPeer(meta: Meta): HostsContainer {
  return {
    id: meta.ID,
    name: meta.Name,
    hostname: meta.Hostname,
    ...(meta.Domainname === '' ? {} : { domainname: meta.Domainname }),
    networks: Object.entries(meta.Networks).map(([name, result]) => ({
      name,
      ips: (result.ips ?? []).map(({ address }) => address.replace(/\/.*$/, '')),
      aliases: meta.aliases[name] ?? [],
    })),
  };
}

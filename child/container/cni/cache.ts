/**
 * Results of ADD, in the files of libcni: `<directory>/results/<network>-<container id>-<interface>`. DEL and CHECK have to
 * be given what ADD was.
 */
import { join } from 'node:path';
import { namesIn, readJSON, remove, writeWhole } from '../files.js';
import type { AttachmentId, CNIResult, ConfList } from './types.js';

export interface CacheEntry {
  network: string;
  containerId: string;
  ifname: string;
  netns: string;
  config: ConfList;
  args: Record<string, string>;
  capabilityArgs: Record<string, unknown>;
  /** As the last plugin gave it, in the version that was spoken. */
  result: unknown;
}

/** The file's form. */
interface File {
  kind: 'cniCacheV1';
  containerId: string;
  /** Base64 of the list's JSON. */
  config: string;
  ifName: string;
  networkName: string;
  netns?: string;
  cniArgs?: [string, string][];
  capabilityArgs?: Record<string, unknown>;
  result: CNIResult;
}

export class Cache {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = join(directory, 'results');
  }

  async write(entry: CacheEntry): Promise<void> {
    const file: File = {
      kind: 'cniCacheV1',
      containerId: entry.containerId,
      config: Buffer.from(JSON.stringify(entry.config)).toString('base64'),
      ifName: entry.ifname,
      networkName: entry.network,
      netns: entry.netns,
      cniArgs: Object.entries(entry.args),
      capabilityArgs: entry.capabilityArgs,
      result: entry.result as CNIResult,
    };
    await writeWhole(this.#path(entry.network, entry), JSON.stringify(file));
  }

  async read(network: string, attachment: AttachmentId): Promise<CacheEntry | undefined> {
    return fromFile(await readJSON(this.#path(network, attachment)));
  }

  async remove(network: string, attachment: AttachmentId): Promise<void> {
    await remove(this.#path(network, attachment));
  }

  /** All entries of a network. */
  async list(network: string): Promise<CacheEntry[]> {
    const names = (await namesIn(this.#directory)).filter((name) => name.startsWith(`${network}-`));
    const entries = await Promise.all(names.map(async (name) => fromFile(await readJSON(join(this.#directory, name)))));
    return entries.filter((entry) => entry !== undefined).filter((entry) => entry.network === network);
  }

  #path(network: string, { containerId, ifname }: AttachmentId): string {
    return join(this.#directory, `${network}-${containerId}-${ifname}`);
  }
}

function fromFile(value: unknown): CacheEntry | undefined {
  if (typeof value !== 'object' || value === null || !('kind' in value) || value.kind !== 'cniCacheV1') return undefined;
  const file = value as File;
  try {
    return {
      network: file.networkName,
      containerId: file.containerId,
      ifname: file.ifName,
      netns: file.netns ?? '',
      config: JSON.parse(Buffer.from(file.config, 'base64').toString()) as ConfList,
      args: Object.fromEntries(file.cniArgs ?? []),
      capabilityArgs: file.capabilityArgs ?? {},
      result: file.result,
    };
  } catch {
    return undefined;
  }
}

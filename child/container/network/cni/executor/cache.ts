import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, errorText } from '../../../protocol/error-text.js';
import { CNIError, ERROR_CODES, isObject, parseObject } from './errors.js';
import type { AttachmentId, ConfList, RawResult, Runtime } from './types.js';

/** What is kept of an attachment from its ADD to its DEL. */
export interface CachedAttachment {
  attachment: AttachmentId;
  /** As it was at ADD. */
  list: ConfList;
  runtime: Runtime;
  /** Of the last plugin. */
  result: RawResult;
}

const KIND = 'cniCacheV1';

/** Attachments that there are, one file for each, in the format and at the place that libcni has for them. */
export class AttachmentCache {
  readonly #dir: string;

  constructor(cacheDir: string) {
    this.#dir = join(cacheDir, 'results');
  }

  /** Undefined if there is none. Throws CNIError, with code 6 where the file is broken. */
  async read(network: string, id: AttachmentId): Promise<CachedAttachment | undefined> {
    const path = this.#path(network, id);
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw new CNIError(ERROR_CODES.io, `cannot read ${path}: ${errorText(error)}`);
    }
    const cached = parse(text);
    if (!cached) throw new CNIError(ERROR_CODES.decode, `${path} is broken; DEL removes it`);
    const { attachment, list } = cached;
    // The parts of the file's name may have dashes, so two attachments can have the same.
    if (list.name !== network || attachment.containerId !== id.containerId || attachment.ifname !== id.ifname) {
      const other = `${attachment.ifname} of container ${attachment.containerId} in network ${list.name}`;
      throw new CNIError(ERROR_CODES.internal, `${path} is that of ${other}`);
    }
    return cached;
  }

  /** Throws CNIError. */
  async write({ attachment, list, runtime, result }: CachedAttachment): Promise<void> {
    const cniArgs = Object.entries(runtime.args);
    const content = {
      kind: KIND,
      containerId: attachment.containerId,
      config: Buffer.from(JSON.stringify(list)).toString('base64'),
      ifName: attachment.ifname,
      networkName: list.name,
      netns: runtime.netns,
      ...(cniArgs.length > 0 && { cniArgs }),
      ...(Object.keys(runtime.capabilityArgs).length > 0 && { capabilityArgs: runtime.capabilityArgs }),
      result,
    };
    const path = this.#path(list.name, attachment);
    // No name of a network begins with a dot.
    const temporary = join(this.#dir, `.${randomUUID()}`);
    try {
      await mkdir(this.#dir, { recursive: true, mode: 0o700 });
      await writeFile(temporary, JSON.stringify(content), { mode: 0o600 });
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      throw new CNIError(ERROR_CODES.io, `cannot write ${path}: ${errorText(error)}`);
    }
  }

  /** It need not be there. Throws CNIError. */
  async delete(network: string, id: AttachmentId): Promise<void> {
    const path = this.#path(network, id);
    try {
      await rm(path, { force: true });
    } catch (error) {
      throw new CNIError(ERROR_CODES.io, `cannot remove ${path}: ${errorText(error)}`);
    }
  }

  /** The attachments to a network, or all; without files that are broken, whose attachment nobody knows. */
  async list(network?: string): Promise<CachedAttachment[]> {
    let names: string[];
    try {
      names = await readdir(this.#dir);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return [];
      throw new CNIError(ERROR_CODES.io, `cannot read ${this.#dir}: ${errorText(error)}`);
    }
    const found: CachedAttachment[] = [];
    for (const name of names.filter((file) => !file.startsWith('.')).sort()) {
      // One that is removed meanwhile is as good as one that is broken.
      const cached = parse(await readFile(join(this.#dir, name), 'utf8').catch(() => ''));
      if (cached && (network === undefined || cached.list.name === network)) found.push(cached);
    }
    return found;
  }

  #path(network: string, { containerId, ifname }: AttachmentId): string {
    return join(this.#dir, `${network}-${containerId}-${ifname}`);
  }
}

/** Undefined for what is no file of the cache. */
function parse(text: string): CachedAttachment | undefined {
  const file = parseObject(text);
  if (file?.kind !== KIND) return undefined;
  const { containerId, ifName: ifname, networkName, netns, config, result } = file;
  // Left out where they are empty, and null where libcni's caller had none.
  const cniArgs = file.cniArgs ?? [];
  const capabilityArgs = file.capabilityArgs ?? {};
  if (typeof containerId !== 'string' || typeof ifname !== 'string' || typeof config !== 'string') return undefined;
  if (!isArgs(cniArgs) || !isObject(capabilityArgs) || !isObject(result)) return undefined;
  const list = parseObject(Buffer.from(config, 'base64').toString());
  if (!isList(list) || list.name !== networkName) return undefined;
  return {
    attachment: { containerId, ifname },
    list,
    runtime: { netns: typeof netns === 'string' ? netns : '', args: Object.fromEntries(cniArgs), capabilityArgs },
    result,
  };
}

function isArgs(value: unknown): value is [string, string][] {
  const isPair = (pair: unknown) =>
    Array.isArray(pair) && pair.length === 2 && pair.every((item) => typeof item === 'string');
  return Array.isArray(value) && value.every(isPair);
}

/** It was checked when it was read; what another program wrote here has gone through its checks. */
function isList(value: Record<string, unknown> | undefined): value is ConfList {
  if (!value || typeof value.name !== 'string' || !Array.isArray(value.plugins)) return false;
  return value.plugins.every((plugin) => isObject(plugin) && typeof plugin.type === 'string');
}

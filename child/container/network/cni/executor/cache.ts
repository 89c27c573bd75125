import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isFields } from '../../../../../protocol/api/report-shapes.js';

import { codedReasonText, errnoName } from '../../../../../protocol/errors/error-text.js';
import { readRegularFile } from '../../../../../protocol/system/regular-file.js';

import { CNIError, ERROR_CODES } from './errors.js';
import { parseObject } from './json.js';
import type { AttachmentId, ConfList, RawResult, Runtime } from './types.js';

/** An attachment as it is cached from its ADD to its DEL. */
export interface CachedAttachment {
  attachment: AttachmentId;
  /** The list at the time of ADD. */
  list: ConfList;
  runtime: Runtime;
  /** The result of the last plugin. */
  result: RawResult;
}

const KIND = 'cniCacheV1';

/** The existing attachments, a file for each, in libcni's format and location. */
export class AttachmentCache {
  readonly #dir: string;

  constructor(cacheDir: string) {
    this.#dir = join(cacheDir, 'results');
  }

  /** Undefined if there is none. Throws CNIError, with code 6 where the file is invalid. */
  async read(network: string, id: AttachmentId): Promise<CachedAttachment | undefined> {
    const path = this.#path(network, id);
    let text: string;
    try {
      text = readRegularFile(path);
    } catch (error) {
      if (errnoName(error) === 'ENOENT') return undefined;
      throw new CNIError(ERROR_CODES.io, `cannot read ${path}: ${codedReasonText(error)}`);
    }
    const cached = parse(text);
    if (!cached) throw new CNIError(ERROR_CODES.decode, `${path} is invalid; DEL removes it`);
    const { attachment, list } = cached;
    // The parts of the file's name may contain dashes, so two attachments can have the same name.
    if (list.name !== network || attachment.containerId !== id.containerId || attachment.ifname !== id.ifname) {
      const other = `${attachment.ifname} of container ${attachment.containerId} in network ${list.name}`;
      throw new CNIError(ERROR_CODES.internal, `${path} belongs to ${other}`);
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
    // The name of a network cannot begin with a dot.
    const temporary = join(this.#dir, `.${randomUUID()}`);
    try {
      await mkdir(this.#dir, { recursive: true, mode: 0o700 });
      await writeFile(temporary, JSON.stringify(content), { mode: 0o600 });
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      throw new CNIError(ERROR_CODES.io, `cannot write ${path}: ${codedReasonText(error)}`);
    }
  }

  /** Does nothing if it does not exist. Throws CNIError. */
  async delete(network: string, id: AttachmentId): Promise<void> {
    const path = this.#path(network, id);
    try {
      await rm(path, { force: true });
    } catch (error) {
      throw new CNIError(ERROR_CODES.io, `cannot remove ${path}: ${codedReasonText(error)}`);
    }
  }

  /** The attachments to a network, or all; invalid files are skipped. */
  async list(network?: string): Promise<CachedAttachment[]> {
    let names: string[];
    try {
      names = await readdir(this.#dir);
    } catch (error) {
      if (errnoName(error) === 'ENOENT') return [];
      throw new CNIError(ERROR_CODES.io, `cannot read ${this.#dir}: ${codedReasonText(error)}`);
    }
    const found: CachedAttachment[] = [];
    for (const name of names.filter((file) => !file.startsWith('.')).sort()) {
      // A file that is removed meanwhile is skipped like an invalid one.
      const cached = parse(textOf(join(this.#dir, name)));
      if (cached && (network === undefined || cached.list.name === network)) found.push(cached);
    }
    return found;
  }

  #path(network: string, { containerId, ifname }: AttachmentId): string {
    return join(this.#dir, `${network}-${containerId}-${ifname}`);
  }
}

/** "" if the file cannot be read. */
function textOf(path: string): string {
  try {
    return readRegularFile(path);
  } catch {
    return '';
  }
}

/** Undefined for anything but a file of the cache. */
function parse(text: string): CachedAttachment | undefined {
  const file = parseObject(text);
  if (file?.kind !== KIND) return undefined;
  const { containerId, ifName: ifname, networkName, netns, config, result } = file;
  // Absent if they are empty, and null if libcni's caller passed none.
  const cniArgs = file.cniArgs ?? [];
  const capabilityArgs = file.capabilityArgs ?? {};
  if (typeof containerId !== 'string' || typeof ifname !== 'string' || typeof config !== 'string') return undefined;
  if (!isArgs(cniArgs) || !isFields(capabilityArgs) || !isFields(result)) return undefined;
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

/** A minimal check: the list was validated when it was read from its file, here or by another program. */
function isList(value: Record<string, unknown> | undefined): value is ConfList {
  if (!value || typeof value.name !== 'string' || !Array.isArray(value.plugins)) return false;
  return value.plugins.every((plugin) => isFields(plugin) && typeof plugin.type === 'string');
}

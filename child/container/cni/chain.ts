/**
 * Executes network configuration lists as the CNI specification (section 3) has it.
 *
 * Theory of operation. ADD runs the plugins in order, each with the result of the one before; what the last one answers is
 * kept in a cache. DEL runs them in reverse, with that result and what ADD was given, and forgets it when all succeeded,
 * so that it can be repeated. A failed ADD is followed by DEL. Nothing is done in parallel for one container: that is
 * for the caller to see to.
 */
import { Cache, type CacheEntry } from './cache.js';
import { checkAttachmentId, chooseVersion, isAtLeast } from './conflist.js';
import { CNIError } from './errors.js';
import { type Command, invoke } from './invoke.js';
import { toCurrentResult } from './result.js';
import type { AttachmentId, CNIResult, ConfList, PluginConf } from './types.js';

/** What an attachment is made with. */
export interface RuntimeArgs {
  /** Path of the container's network namespace; "" where it is gone. */
  netns: string;
  /** For CNI_ARGS. */
  args: Record<string, string>;
  /** By capability, such as portMappings. */
  capabilityArgs: Record<string, unknown>;
}

const VALID_ATTACHMENTS = 'cni.dev/valid-attachments';
/** What libcni sends beside it, for plugins of the first days. */
const LEGACY_ATTACHMENTS = 'cni.dev/attachments';

/** Every method throws CNIError. */
export class CNI {
  readonly #cache: Cache;

  constructor(
    private readonly pluginDirs: readonly string[],
    cacheDir: string,
  ) {
    this.#cache = new Cache(cacheDir);
  }

  /** Throws where the attachment is there already; then no plugin has run. After another failure nothing is left. */
  async add(list: ConfList, attachment: AttachmentId, runtime: RuntimeArgs): Promise<CNIResult> {
    checkAttachmentId(attachment.containerId, attachment.ifname);
    const version = chooseVersion(list);
    if (await this.#cache.read(list.name, attachment)) {
      throw new CNIError(999, `${attachment.ifname} of the container ${attachment.containerId} is on the network ${list.name} already`);
    }
    const entry = { network: list.name, ...attachment, ...runtime, config: list };
    try {
      let result: unknown;
      for (const plugin of list.plugins) {
        const answer = await this.#invoke('ADD', plugin, version, entry, result);
        if (answer !== undefined) result = answer;
      }
      await this.#cache.write({ ...entry, result });
      return toCurrentResult(result);
    } catch (error) {
      for (const plugin of [...list.plugins].reverse()) {
        await this.#invoke('DEL', plugin, version, entry, undefined).catch(() => {});
      }
      throw error;
    }
  }

  /** Any number of times, also where there is nothing. What ADD was given counts, where that is known. */
  async del(list: ConfList, attachment: AttachmentId, runtime: RuntimeArgs): Promise<void> {
    checkAttachmentId(attachment.containerId, attachment.ifname);
    const cached = await this.#cache.read(list.name, attachment);
    const entry = cached
      ? { ...cached, netns: runtime.netns }
      : { network: list.name, ...attachment, ...runtime, config: list, result: undefined };
    const version = chooseVersion(entry.config);
    for (const plugin of [...entry.config.plugins].reverse()) {
      await this.#invoke('DEL', plugin, version, entry, entry.result);
    }
    await this.#cache.remove(list.name, attachment);
  }

  /** Throws where something is not as ADD left it. Does nothing where the list does not want it, or is too old. */
  async check(list: ConfList, attachment: AttachmentId, netns: string): Promise<void> {
    const version = chooseVersion(list);
    if (list.disableCheck || !isAtLeast(version, '0.4.0')) return;
    const cached = await this.#cache.read(list.name, attachment);
    if (!cached) {
      throw new CNIError(3, `nothing is known of ${attachment.ifname} of the container ${attachment.containerId} on the network ${list.name}`);
    }
    for (const plugin of cached.config.plugins) {
      await this.#invoke('CHECK', plugin, version, { ...cached, netns }, cached.result);
    }
  }

  /** Takes away what attachments that are not valid any more have left. Goes on where a plugin fails, and throws at the end. */
  async gc(list: ConfList, valid: readonly AttachmentId[]): Promise<void> {
    const version = chooseVersion(list);
    if (list.disableGC) return;
    const failures: string[] = [];
    const attempt = (task: Promise<unknown>) =>
      task.catch((error: unknown) => failures.push(error instanceof Error ? error.message : String(error)));
    for (const { containerId, ifname } of await this.#cache.list(list.name)) {
      if (valid.some((entry) => entry.containerId === containerId && entry.ifname === ifname)) continue;
      await attempt(this.del(list, { containerId, ifname }, { netns: '', args: {}, capabilityArgs: {} }));
    }
    if (isAtLeast(version, '1.1.0')) {
      const attachments = valid.map(({ containerId, ifname }) => ({ containerID: containerId, ifname }));
      for (const plugin of list.plugins) {
        const config = {
          ...requestConfig(plugin, list.name, version, {}, undefined),
          [VALID_ATTACHMENTS]: attachments,
          [LEGACY_ATTACHMENTS]: attachments,
        };
        await attempt(invoke(plugin.type, this.pluginDirs, { command: 'GC' }, config));
      }
    }
    if (failures.length > 0) throw new CNIError(999, `garbage of the network ${list.name} is left: ${failures.join('; ')}`);
  }

  /** Throws with code 50 or 51 where a plugin cannot be used now. Nothing is asked of lists that are too old. */
  async status(list: ConfList): Promise<void> {
    const version = chooseVersion(list);
    if (!isAtLeast(version, '1.1.0')) return;
    for (const plugin of list.plugins) {
      const config = requestConfig(plugin, list.name, version, {}, undefined);
      await invoke(plugin.type, this.pluginDirs, { command: 'STATUS' }, config);
    }
  }

  async version(type: string): Promise<{ cniVersion: string; supportedVersions: string[] }> {
    const answer = await invoke(type, this.pluginDirs, { command: 'VERSION' }, { cniVersion: '1.0.0' });
    const { cniVersion, supportedVersions } = (answer ?? {}) as Record<string, unknown>;
    if (typeof cniVersion !== 'string' || !Array.isArray(supportedVersions)) {
      throw new CNIError(6, 'it does not say which versions it knows', type);
    }
    return { cniVersion, supportedVersions: supportedVersions.map(String) };
  }

  async isAttached(network: string, attachment: AttachmentId): Promise<boolean> {
    return (await this.#cache.read(network, attachment)) !== undefined;
  }

  /** What was attached, as it was attached. */
  attachments(network: string): Promise<CacheEntry[]> {
    return this.#cache.list(network);
  }

  #invoke(
    command: Command,
    plugin: PluginConf,
    version: string,
    entry: Omit<CacheEntry, 'result'>,
    prevResult: unknown,
  ): Promise<unknown> {
    const { containerId, netns, ifname, args } = entry;
    const config = requestConfig(plugin, entry.network, version, entry.capabilityArgs, prevResult);
    return invoke(plugin.type, this.pluginDirs, { command, containerId, netns, ifname, args }, config);
  }
}

/** The plugin's object unchanged, with what the specification adds ("Deriving execution configuration"). */
function requestConfig(
  { capabilities = {}, ...plugin }: PluginConf,
  name: string,
  cniVersion: string,
  capabilityArgs: Readonly<Record<string, unknown>>,
  prevResult: unknown,
): Record<string, unknown> {
  const wanted = Object.entries(capabilityArgs).filter(([key]) => capabilities[key] === true);
  return {
    ...plugin,
    name,
    cniVersion,
    ...(wanted.length > 0 ? { runtimeConfig: Object.fromEntries(wanted) } : {}),
    ...(prevResult === undefined ? {} : { prevResult }),
  };
}

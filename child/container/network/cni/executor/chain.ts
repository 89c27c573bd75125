/**
 * The executor of the CNI specification, 1.0.0 and 1.1.0; https://www.cni.dev/docs/spec/
 *
 * A network is a list of plugins, programs that each do one thing to a container's network namespace: bridge creates the
 * interface, portmap the rules for its published ports, and so on. ADD runs them in order, and passes to each the result
 * of the previous one (prevResult); the last result is that of the network. Everything else is about undoing that,
 * whatever has happened in between:
 *
 * - The last result, and the configuration and arguments that led to it, are kept in a file of the cache. DEL and CHECK
 *   use the file, not the caller's parameters: the user may have changed the network since, and plugins find what they
 *   created (iptables rules for instance) by the parameters of ADD. DEL uses the caller's parameters only where there is
 *   no file, so that it can always be called as a precaution.
 * - An ADD that fails leaves nothing: DEL follows for the whole list, with the last result. Errors of that DEL are not
 *   reported, as the first error is more informative.
 * - An attachment that is in the cache cannot be added: plugins would refuse half-way at best. Conversely, the file is
 *   removed only when each plugin has succeeded at DEL, which can thus be repeated.
 * - GC removes what remains of containers that ended without DEL: those in the cache first, by DEL; then each plugin gets
 *   the list of valid attachments, and removes what only it knows.
 *
 * Plugins run in the namespaces of this process. The specification requires that operations on one container are
 * serialised, and not concurrent with GC of the same network; the caller, which has a lock for each container, ensures it.
 */
import { AttachmentCache, type CachedAttachment } from './cache.js';
import { CNIError, CNIErrors, ERROR_CODES } from './errors.js';
import { findPlugin, invokePlugin, type PluginHost } from './invoke.js';
import { checkAttachmentId, checkNetworkName } from './names.js';
import { argsText, pluginRequest, type RequestParts } from './request.js';
import { currentResult, rawResult } from './result.js';
import type { AttachmentId, CNIResult, ConfList, PluginConf, RawResult, Runtime, Verb } from './types.js';
import { chosenVersion, isAtLeast, SUPPORTED_VERSIONS } from './versions.js';

export interface CNIOptions {
  /** Plugin directories, in the order in which they are searched. */
  pluginDirs: readonly string[];
  /** Where attachments are cached; libcni uses /var/lib/cni. */
  cacheDir: string;
  /** The environment that plugins inherit; that of this process unless given. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Milliseconds after which a plugin is killed; a minute unless given. */
  timeout?: number;
  /** Replaces a plugin's object in its requests; the cache keeps the original. Throws CNIError. */
  adapt?: (plugin: PluginConf) => PluginConf | Promise<PluginConf>;
}

/** A plugin's answer to VERSION. */
export interface PluginVersions {
  cniVersion: string;
  supportedVersions: string[];
}

/** The parameters of an operation on an attachment. */
interface Operation {
  list: ConfList;
  version: string;
  attachment: AttachmentId;
  runtime: Runtime;
}

const PLUGIN_TIMEOUT = 60_000;

export class CNI {
  readonly #host: PluginHost;
  readonly #cache: AttachmentCache;
  readonly #adapt: NonNullable<CNIOptions['adapt']>;

  constructor({ pluginDirs, cacheDir, env = process.env, timeout = PLUGIN_TIMEOUT, adapt = (p) => p }: CNIOptions) {
    this.#host = { pluginDirs, env, timeout };
    this.#adapt = adapt;
    this.#cache = new AttachmentCache(cacheDir);
  }

  /** The attachments of a network without a DEL. */
  async attachments(network: string): Promise<AttachmentId[]> {
    return (await this.#cache.list(network)).map(({ attachment }) => attachment);
  }

  /** The network as it was at the ADD of an attachment; undefined after DEL. */
  async attachedList(network: string, attachment: AttachmentId): Promise<ConfList | undefined> {
    return (await this.#readForDel(network, attachment))?.list;
  }

  /**
   * Attaches a container to a network. On failure nothing remains.
   *
   * @throws CNIError
   */
  async add(list: ConfList, attachment: AttachmentId, runtime: Runtime): Promise<CNIResult> {
    const operation = begin(list, attachment, runtime);
    requireNetns('ADD', runtime);
    if (await this.#cache.read(list.name, attachment)) {
      const { containerId, ifname } = attachment;
      throw new CNIError(
        ERROR_CODES.internal,
        `container ${containerId} is in network ${list.name} as ${ifname} already; DEL has to come first`,
      );
    }
    // A missing plugin would otherwise be noticed only after the previous ones have run.
    for (const { type } of list.plugins) await findPlugin(type, this.#host.pluginDirs);

    let result: RawResult | undefined;
    try {
      let last = '';
      for (const plugin of list.plugins) {
        last = plugin.type;
        result = rawResult(await this.#onAttachment('ADD', plugin, operation, result), operation.version);
      }
      const current = currentResult(result ?? {}, last);
      await this.#cache.write({ attachment, list, runtime, result: result ?? {} });
      return current;
    } catch (error) {
      await this.#undo(operation, result);
      throw error;
    }
  }

  /**
   * Detaches a container from a network. Succeeds where it is not attached, and where its namespace no longer exists.
   *
   * @throws CNIError
   */
  async del(list: ConfList, attachment: AttachmentId, runtime: Runtime): Promise<void> {
    const asked = begin(list, attachment, runtime);
    const cached = await this.#readForDel(list.name, attachment);
    const operation = cached ? operationOf(cached, runtime.netns) : asked;
    for (const plugin of operation.list.plugins.toReversed()) {
      await this.#onAttachment('DEL', plugin, operation, cached?.result);
    }
    await this.#cache.delete(list.name, attachment);
  }

  /**
   * Rejects if an attachment is not as ADD left it. Runs no plugin where the network has `disableCheck`, which is for
   * plugins that are known to report errors without reason.
   *
   * @throws CNIError
   */
  async check(list: ConfList, attachment: AttachmentId, runtime: Runtime): Promise<void> {
    begin(list, attachment, runtime);
    requireNetns('CHECK', runtime);
    const cached = await this.#cache.read(list.name, attachment);
    if (!cached) {
      const { containerId, ifname } = attachment;
      const text = `container ${containerId} is not in network ${list.name} as ${ifname}; ADD has to come first`;
      throw new CNIError(ERROR_CODES.unknownContainer, text);
    }
    const operation = operationOf(cached, runtime.netns);
    if (!isAtLeast(operation.version, '0.4.0')) {
      const text = `network ${list.name} has cniVersion ${operation.version}, and CHECK requires 0.4.0`;
      throw new CNIError(ERROR_CODES.incompatibleVersion, text);
    }
    if (list.disableCheck || operation.list.disableCheck) return;
    for (const plugin of operation.list.plugins) await this.#onAttachment('CHECK', plugin, operation, cached.result);
  }

  /**
   * Removes the attachments to a network that are not valid; continues after errors.
   *
   * @throws CNIErrors
   */
  async gc(list: ConfList, validAttachments: readonly AttachmentId[]): Promise<void> {
    checkNetworkName(list.name);
    const cniVersion = chosenVersion(list);
    for (const attachment of validAttachments) checkAttachmentId(attachment);
    const errors: CNIError[] = [];
    const collect = (error: unknown) => {
      if (!(error instanceof CNIError)) throw error;
      errors.push(error);
    };

    const isValid = ({ containerId, ifname }: AttachmentId) =>
      validAttachments.some((valid) => valid.containerId === containerId && valid.ifname === ifname);
    for (const { attachment, list: added, runtime } of await this.#cache.list(list.name)) {
      if (isValid(attachment)) continue;
      await this.del(added, attachment, { ...runtime, netns: lastingNetns(runtime.netns) }).catch(collect);
    }

    if (isAtLeast(cniVersion, '1.1.0') && !list.disableGC) {
      for (const plugin of list.plugins) {
        await this.#onNetwork('GC', plugin, { name: list.name, cniVersion, validAttachments }).catch(collect);
      }
    }
    if (errors.length > 0) throw new CNIErrors(`GC of network ${list.name} failed`, errors);
  }

  /**
   * Rejects with a plugin's error if containers cannot be attached to a network now (code 50), or those that are attached
   * have limited connectivity in addition (code 51). Runs no plugin before version 1.1.0, which introduced STATUS.
   *
   * @throws CNIError
   */
  async status(list: ConfList): Promise<void> {
    checkNetworkName(list.name);
    const cniVersion = chosenVersion(list);
    if (!isAtLeast(cniVersion, '1.1.0')) return;
    for (const plugin of list.plugins) await this.#onNetwork('STATUS', plugin, { name: list.name, cniVersion });
  }

  /**
   * The versions of the specification that a plugin supports.
   *
   * @throws CNIError
   */
  async version(pluginType: string): Promise<PluginVersions> {
    const config = { cniVersion: SUPPORTED_VERSIONS.at(-1) };
    const answer = await invokePlugin(this.#host, { verb: 'VERSION', type: pluginType, config });
    const { cniVersion, supportedVersions } = answer;
    const isText = (value: unknown): value is string => typeof value === 'string';
    if (!isText(cniVersion) || !Array.isArray(supportedVersions) || !supportedVersions.every(isText)) {
      const text = 'its response to VERSION lacks cniVersion and supportedVersions';
      throw new CNIError(ERROR_CODES.decode, text, { plugin: pluginType });
    }
    return { cniVersion, supportedVersions };
  }

  /** DEL ignores and removes an invalid file, and uses the caller's parameters. */
  async #readForDel(network: string, attachment: AttachmentId): Promise<CachedAttachment | undefined> {
    try {
      return await this.#cache.read(network, attachment);
    } catch (error) {
      if (error instanceof CNIError && error.cniCode === ERROR_CODES.decode) return undefined;
      throw error;
    }
  }

  /** DEL after a failed ADD: of each plugin, even of those that have not run, and regardless of errors. */
  async #undo(operation: Operation, result: RawResult | undefined): Promise<void> {
    for (const plugin of operation.list.plugins.toReversed()) {
      await this.#onAttachment('DEL', plugin, operation, result).catch(() => {});
    }
  }

  async #onNetwork(verb: 'GC' | 'STATUS', plugin: PluginConf, parts: RequestParts): Promise<void> {
    const config = pluginRequest(await this.#adapt(plugin), parts);
    await invokePlugin(this.#host, { verb, type: plugin.type, config });
  }

  async #onAttachment(
    verb: Extract<Verb, 'ADD' | 'DEL' | 'CHECK'>,
    plugin: PluginConf,
    { list, version, attachment, runtime }: Operation,
    result: RawResult | undefined,
  ): Promise<Record<string, unknown>> {
    const config = pluginRequest(await this.#adapt(plugin), {
      name: list.name,
      cniVersion: version,
      capabilityArgs: runtime.capabilityArgs,
      // Before 0.4.0 only ADD has it.
      prevResult: verb === 'ADD' || isAtLeast(version, '0.4.0') ? result : undefined,
    });
    return invokePlugin(this.#host, {
      verb,
      type: plugin.type,
      config,
      attachment: { ...attachment, netns: runtime.netns, args: argsText(runtime.args) },
    });
  }
}

/** Checks everything that can be checked before a plugin runs. */
function begin(list: ConfList, attachment: AttachmentId, runtime: Runtime): Operation {
  checkNetworkName(list.name);
  checkAttachmentId(attachment);
  argsText(runtime.args);
  return { list, version: chosenVersion(list), attachment, runtime };
}

/** The parameters of ADD, with the current path of the namespace. */
function operationOf({ list, attachment, runtime }: CachedAttachment, netns: string): Operation {
  return { list, version: chosenVersion(list), attachment, runtime: { ...runtime, netns } };
}

function requireNetns(verb: Verb, { netns }: Runtime): void {
  if (netns === '') throw new CNIError(ERROR_CODES.badEnvironment, `${verb} needs a network namespace`);
}

/** The pid in a path in /proc may be reused by another process, whose interface must not be removed. */
function lastingNetns(netns: string): string {
  return netns.startsWith('/proc/') ? '' : netns;
}

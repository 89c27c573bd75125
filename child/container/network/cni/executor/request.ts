import { CNIError, ERROR_CODES } from './errors.js';
import type { AttachmentId, PluginConf, RawResult } from './types.js';

/** What is added to a plugin's object in the list to form the request. */
export interface RequestParts {
  /** Name of the network. */
  name: string;
  cniVersion: string;
  capabilityArgs?: Readonly<Record<string, unknown>>;
  prevResult?: RawResult | undefined;
  /** For GC. */
  validAttachments?: readonly AttachmentId[];
}

/** The configuration that a plugin reads from its standard input. Unknown keys are passed unchanged. */
export function pluginRequest(plugin: PluginConf, parts: RequestParts): Record<string, unknown> {
  const { capabilities, ...config } = plugin;
  const { name, cniVersion, capabilityArgs = {}, prevResult, validAttachments } = parts;
  const supplied = Object.entries(capabilityArgs).filter(
    ([key, value]) => Object.hasOwn(capabilities ?? {}, key) && capabilities?.[key] === true && value !== undefined,
  );
  const attachments = validAttachments?.map(({ containerId, ifname }) => ({ containerID: containerId, ifname }));
  return {
    ...config,
    name,
    cniVersion,
    ...(supplied.length > 0 && { runtimeConfig: Object.fromEntries(supplied) }),
    ...(prevResult && { prevResult }),
    // Older plugins read the key by its preliminary name.
    ...(attachments && { 'cni.dev/valid-attachments': attachments, 'cni.dev/attachments': attachments }),
  };
}

/**
 * The environment variable CNI_ARGS: K=V;K=V. A semicolon cannot be quoted in it.
 *
 * @throws CNIError
 */
export function argsText(args: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(args).map(([key, value]) => {
    if (key === '' || /[=;\0]/.test(key) || /[;\0]/.test(value)) {
      throw new CNIError(ERROR_CODES.badEnvironment, `${JSON.stringify(`${key}=${value}`)} cannot be part of CNI_ARGS`);
    }
    return `${key}=${value}`;
  });
  return pairs.join(';');
}

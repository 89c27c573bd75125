import { ContainerError } from '../errors.js';
import type { Verb } from './types.js';

/** Error codes that the specification reserves; those from 100 on are the plugins' own. */
export const ERROR_CODES = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  unknownContainer: 3,
  badEnvironment: 4,
  io: 5,
  decode: 6,
  badConfig: 7,
  badNetns: 8,
  tryLater: 11,
  notAvailable: 50,
  limitedConnectivity: 51,
  internal: 999,
} as const;

export interface CNIErrorOptions {
  details?: string | undefined;
  /** Type of the plugin that it comes from, where it comes from one. */
  plugin?: string | undefined;
}

/** An operation on a container network failed, in a plugin or before one ran. The message is one complete line. */
export class CNIError extends ContainerError {
  override name: string = 'CNIError';
  readonly details: string | undefined;
  readonly plugin: string | undefined;

  constructor(
    readonly code: number,
    /** What failed, without plugin, details and code. */
    readonly msg: string,
    { details, plugin }: CNIErrorOptions = {},
  ) {
    const source = plugin === undefined ? 'CNI' : `CNI plugin ${oneLine(plugin)}`;
    super(`${source}: ${oneLine(msg)}${details ? `; ${oneLine(details)}` : ''} (code ${code})`, 500);
    this.details = details;
    this.plugin = plugin;
  }
}

/** No executable of that name is in the directories of plugins. */
export class PluginMissingError extends CNIError {
  override name = 'PluginMissingError';
  constructor(plugin: string, pluginDirs: readonly string[]) {
    const where = `not found in CNI_PATH (${pluginDirs.join(':')})`;
    super(ERROR_CODES.badConfig, `${where}; install containernetworking-plugins`, { plugin });
  }
}

/** Several steps failed, each of which was worth doing without the others. Has the code of the first. */
export class CNIErrors extends CNIError {
  override name = 'CNIErrors';
  constructor(
    what: string,
    readonly errors: readonly CNIError[],
  ) {
    super(errors[0]?.code ?? ERROR_CODES.internal, `${what}: ${errors.map(({ message }) => message).join('; ')}`);
  }
}

/** How a plugin ended that failed. */
export interface FailedRun {
  stdout: string;
  stderr: string;
  /** As in "exit code 1". */
  end: string;
}

/** What a plugin that failed says: the error on its standard output, or else the last line of the other one. */
export function pluginError(plugin: string, verb: Verb, { stdout, stderr, end }: FailedRun): CNIError {
  const said = parseObject(stdout);
  if (said && typeof said.code === 'number' && (typeof said.msg === 'string' || typeof said.details === 'string')) {
    const details = typeof said.details === 'string' ? said.details : undefined;
    if (typeof said.msg === 'string' && said.msg !== '') {
      return new CNIError(said.code, said.msg, { plugin, ...(details && { details }) });
    }
    return new CNIError(said.code, details || `${verb} failed`, { plugin });
  }
  const lastLine = stderr.trim().split('\n').at(-1);
  return new CNIError(ERROR_CODES.internal, `${lastLine || `${verb} failed without a word`}; ${end}`, { plugin });
}

/** The JSON object in a text, if it is one. */
export function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Plugins' texts have line breaks and control characters at times, which have no place in a line of ours. */
function oneLine(text: string): string {
  return text.replaceAll(/[\s\p{Cc}]+/gu, ' ').trim();
}

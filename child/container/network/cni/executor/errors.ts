import { ContainerError } from '../../../errors.js';
import { oneLine, parseObject } from './json.js';
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
  /** Type of the plugin that reported it; undefined if none did. */
  plugin?: string | undefined;
}

/** An operation on a container network failed, in a plugin or before one ran. The message is a single line. */
export class CNIError extends ContainerError {
  override name: string = 'CNIError';
  readonly details: string | undefined;
  readonly plugin: string | undefined;

  constructor(
    /** Error code of the CNI specification, or the plugin's own. */
    readonly cniCode: number,
    readonly msg: string,
    { details, plugin }: CNIErrorOptions = {},
  ) {
    const source = plugin === undefined ? 'CNI' : `CNI plugin ${oneLine(plugin)}`;
    super(`${source}: ${oneLine(msg)}${details ? `; ${oneLine(details)}` : ''} (code ${cniCode})`, 500);
    this.details = details;
    this.plugin = plugin;
  }
}

/** The plugin directories contain no executable of that name. */
export class PluginMissingError extends CNIError {
  override name = 'PluginMissingError';
  constructor(plugin: string, pluginDirs: readonly string[]) {
    const where = `not found in CNI_PATH (${pluginDirs.join(':')})`;
    super(ERROR_CODES.badConfig, `${where}; install containernetworking-plugins`, { plugin });
  }
}

/** Several independent steps failed. Has the code of the first error. */
export class CNIErrors extends CNIError {
  override name = 'CNIErrors';
  constructor(
    what: string,
    readonly errors: readonly CNIError[],
  ) {
    super(errors[0]?.cniCode ?? ERROR_CODES.internal, `${what}: ${errors.map(({ message }) => message).join('; ')}`);
  }
}

/** The output and the end of a plugin that failed. */
export interface FailedRun {
  stdout: string;
  stderr: string;
  /** As in "exit code 1". */
  end: string;
}

/** The error of a failed plugin: that on its standard output, or the last line of its standard error. */
export function pluginError(plugin: string, verb: Verb, { stdout, stderr, end }: FailedRun): CNIError {
  const reported = parseObject(stdout);
  if (
    reported &&
    typeof reported.code === 'number' &&
    (typeof reported.msg === 'string' || typeof reported.details === 'string')
  ) {
    const details = typeof reported.details === 'string' ? reported.details : undefined;
    if (typeof reported.msg === 'string' && reported.msg !== '') {
      return new CNIError(reported.code, reported.msg, { plugin, ...(details && { details }) });
    }
    return new CNIError(reported.code, details || `${verb} failed`, { plugin });
  }
  const lastLine = stderr.trim().split('\n').at(-1);
  return new CNIError(ERROR_CODES.internal, `${lastLine || `${verb} failed without output`}; ${end}`, { plugin });
}

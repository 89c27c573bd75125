import { ContainerError } from '../errors.js';

/** A plugin failed, or cannot be asked. The codes are those of the CNI specification ("Error"). */
export class CNIError extends ContainerError {
  override name = 'CNIError';
  constructor(
    readonly code: number,
    /** The plugin's own words. */
    readonly msg: string,
    readonly plugin = '',
    readonly details = '',
  ) {
    const more = details === '' ? '' : `: ${details}`;
    const line = plugin === '' ? msg : `CNI plugin ${plugin}: ${msg}${more} (code ${code})`;
    super(line.replaceAll(/\s+/g, ' '), 500);
  }
}

/** There is no such plugin. */
export class PluginMissingError extends CNIError {
  override name = 'PluginMissingError';
  constructor(type: string, directories: readonly string[]) {
    super(5, `the CNI plugin "${type}" is in none of ${directories.join(', ')}; install it (Debian: apt-get install containernetworking-plugins)`);
  }
}

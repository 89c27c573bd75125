import { NetworkError, UsageError } from '../errors.js';
import type { Network, NetworkDriver, NetworkOptions } from './driver.js';
import { none } from './none.js';
import { pasta } from './pasta.js';
import { slirp4netns } from './slirp4netns.js';

const drivers: readonly NetworkDriver[] = [slirp4netns, pasta, none];

/** Names that `--net` takes. */
export const networkNames: readonly string[] = ['auto', ...drivers.map(({ name }) => name)];

/** Throws UsageError for a name that is not in networkNames. */
export function checkNetworkName(name: string): void {
  if (!networkNames.includes(name)) {
    throw new UsageError(`unknown network mode: ${name}; choose one of ${networkNames.join(', ')}`);
  }
}

/**
 * Sets up the network named, or with `auto` the first that works here: slirp4netns, else pasta, else loopback only, and
 * then a line says so. Throws NetworkError.
 */
export async function setupNetwork(
  name: string,
  pid: number,
  options: NetworkOptions,
  say: (line: string) => void,
): Promise<Network> {
  const chosen = drivers.find((driver) => driver.name === name);
  if (chosen) {
    const problem = await chosen.probe();
    if (problem) throw new NetworkError(`--net=${name} cannot be used: ${problem}`);
    return chosen.setup(pid, options);
  }
  const problems: string[] = [];
  for (const driver of drivers) {
    const problem = await driver.probe();
    if (problem) {
      problems.push(problem);
      continue;
    }
    try {
      const network = await driver.setup(pid, options);
      if (driver === none) say(`no outbound network, loopback only: ${problems.join('; or ')}`);
      return network;
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
      problems.push(error.message);
    }
  }
  throw new NetworkError(`no network driver works: ${problems.join('; ')}`);
}

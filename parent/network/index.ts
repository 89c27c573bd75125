import { NetworkError, problemText, UsageError } from '../errors.js';
import type { ChildNamespaces, Network, NetworkDemands, NetworkDriver, NetworkOptions } from './driver.js';
import { host } from './host.js';
import { lxcUserNic } from './lxc-user-nic.js';
import { none } from './none.js';
import { pasta } from './pasta.js';
import { slirp4netns } from './slirp4netns.js';

const drivers = { slirp4netns, pasta, 'lxc-user-nic': lxcUserNic, none, host } satisfies Record<string, NetworkDriver>;

/** What `auto` tries, in this order. */
const automatic: readonly NetworkDriver[] = [slirp4netns, pasta, none];

export type NetworkName = 'auto' | keyof typeof drivers;

/** Names that `--net` takes. */
export const networkNames = ['auto', ...Object.keys(drivers)] as readonly NetworkName[];

/** Names that RootlessKit's `--net` takes as well. */
const unsupported: readonly string[] = ['vpnkit', 'gvisor-tap-vsock'];

/** Throws UsageError for a name that is not in networkNames. */
export function parseNetworkName(text: string): NetworkName {
  if (unsupported.includes(text)) {
    throw new UsageError(`network driver "${text}" is not supported; use --net=slirp4netns or --net=pasta instead`);
  }
  const name = networkNames.find((known) => known === text);
  if (!name) throw new UsageError(`unknown network mode: ${text}; choose one of ${networkNames.join(', ')}`);
  return name;
}

/** To be called while the namespaces are made, for setupNetwork() to take less time. */
export function prepareNetwork(name: NetworkName, options: NetworkOptions): void {
  const driver: NetworkDriver | undefined = name === 'auto' ? automatic[0] : drivers[name];
  driver?.prepare?.(options);
}

/**
 * Sets up the network named, or with `auto` the first that works here: slirp4netns, else pasta, else loopback only, and
 * then a line says so. Throws NetworkError.
 */
export async function setupNetwork(
  name: NetworkName,
  child: ChildNamespaces,
  options: NetworkOptions,
  demands: NetworkDemands,
  say: (line: string) => void,
): Promise<Network> {
  if (name !== 'auto') {
    const chosen: NetworkDriver = drivers[name];
    const problem = await chosen.probe(options);
    if (problem) throw new NetworkError(`--net=${name} cannot be used: ${problemText(problem)}`);
    return chosen.setup(child, options, demands);
  }
  const problems: string[] = [];
  for (const driver of automatic) {
    const problem = await driver.probe(options);
    if (problem) {
      problems.push(problemText(problem));
      continue;
    }
    try {
      const network = await driver.setup(child, options, demands);
      if (driver === none) say(`no outbound network, loopback only: ${problems.join('; or ')}`);
      return network;
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
      problems.push(error.message);
    }
  }
  throw new NetworkError(`no network driver works: ${problems.join('; ')}`);
}

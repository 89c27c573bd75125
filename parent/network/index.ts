/**
 * Networks of the namespaces: the choice of a driver, and its set-up. The interface is in driver.ts, each driver in
 * drivers/, restarts in restart.ts, and the networks of the host in host/. Ports are not set up here, but in ../port.
 */
import type { EgressRule } from '../../protocol/egress/rule.js';
import { NetworkError, problemText, UsageError } from '../errors.js';
import type { ChildNamespaces, Network, NetworkDemands, NetworkDriver, NetworkOptions } from './driver.js';
import { builtin } from './drivers/builtin/index.js';
import { host } from './drivers/host.js';
import { lxcUserNic } from './drivers/lxc-user-nic.js';
import { none } from './drivers/none.js';
import { pasta } from './drivers/pasta.js';
import { slirp4netns } from './drivers/slirp4netns.js';
import { RestartingNetwork } from './restart.js';

const drivers = { builtin, slirp4netns, pasta, 'lxc-user-nic': lxcUserNic, none, host } satisfies Record<
  string,
  NetworkDriver
>;

/** Drivers that `auto` tries, in this order. */
const automatic: readonly NetworkDriver[] = [builtin, slirp4netns, pasta, none];

/**
 * What only the network driver builtin has of a stack's options, as the command line calls them. With any of these `auto` is
 * builtin, and other drivers are refused.
 */
export function needsOfBuiltin({
  network: { hostPorts = [] },
  egress,
  learn,
  limit,
}: {
  network: Pick<NetworkOptions, 'hostPorts'>;
  egress?: readonly EgressRule[];
  learn?: unknown;
  limit?: unknown;
}): string[] {
  return [
    ...(hostPorts.length > 0 ? ['--host-port'] : []),
    ...(egress ? ['--allow and --deny'] : []),
    ...(learn === undefined ? [] : ['--learn']),
    ...(limit === undefined ? [] : ['--limit']),
  ];
}

export type NetworkName = 'auto' | keyof typeof drivers;

/** Names that `--net` accepts. */
export const networkNames = ['auto', ...Object.keys(drivers)] as readonly NetworkName[];

/** Names that only RootlessKit's `--net` accepts. */
const unsupported: readonly string[] = ['vpnkit', 'gvisor-tap-vsock'];

/** Throws UsageError for a name that is not in networkNames. */
export function parseNetworkName(text: string): NetworkName {
  if (unsupported.includes(text)) {
    throw new UsageError(`network driver "${text}" is not supported; use --net=builtin or --net=slirp4netns instead`);
  }
  const name = networkNames.find((known) => known === text);
  if (!name) throw new UsageError(`unknown network mode: ${text} (--net); choose one of ${networkNames.join(', ')}`);
  return name;
}

/** To be called while the namespaces are made, so that setupNetwork() takes less time. */
export function prepareNetwork(name: NetworkName, options: NetworkOptions): void {
  const driver: NetworkDriver | undefined = name === 'auto' ? automatic[0] : drivers[name];
  driver?.prepare?.(options);
}

export interface NetworkLog {
  info: (line: string) => void;
  warn: (line: string) => void;
}

export interface NetworkSetup {
  name: NetworkName;
  child: ChildNamespaces;
  options: NetworkOptions;
  /** See needsOfBuiltin(). */
  needs?: readonly string[];
  demands: NetworkDemands;
  log: NetworkLog;
  /** Gets the reason where `auto` leaves loopback only; a line of the log unless given. */
  onNone?: (reason: string) => void;
}

/**
 * Sets up the network named, or with `auto` the first that works here: builtin, else slirp4netns, else pasta, else
 * loopback only. A network whose program ends is set up again. Throws NetworkError.
 */
export async function setupNetwork({
  name,
  child,
  options,
  needs = [],
  demands,
  log,
  onNone = log.info,
}: NetworkSetup): Promise<Network> {
  const start = async (driver: NetworkDriver): Promise<Network> => {
    const network = await driver.setup(child, options, demands);
    for (const warning of network.warnings ?? []) log.warn(warning);
    const again = driver.setupAgain?.bind(driver, child, options, demands);
    return new RestartingNetwork(network, { child, again, ...log });
  };
  if (needs.length > 0 && name !== 'auto' && name !== 'builtin') {
    throw new NetworkError(`the network driver ${name} has no ${needs.join(', ')}; hint: --net=builtin`);
  }
  if (name !== 'auto') {
    const chosen: NetworkDriver = drivers[name];
    const problem = await chosen.probe(options);
    if (problem) throw new NetworkError(`--net=${name} cannot be used: ${problemText(problem)}`);
    return start(chosen);
  }
  const problems: string[] = [];
  for (const driver of needs.length > 0 ? [builtin] : automatic) {
    const problem = await driver.probe(options);
    if (problem) {
      problems.push(problemText(problem));
      continue;
    }
    try {
      const network = await start(driver);
      if (driver === none) onNone(`no outbound network, loopback only: ${problems.join('; or ')}`);
      return network;
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
      problems.push(error.message);
    }
  }
  const failure = needs.length > 0 ? `${needs.join(', ')} not available` : 'no network driver works';
  throw new NetworkError(`${failure}: ${problems.join('; ')}`);
}

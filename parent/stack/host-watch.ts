/** Follows changes of the host while the stack runs: resolv.conf, addresses and routes. */

import type { ContainerService } from '../containers/service.js';
import type { EngineHost } from '../engine/engine-host.js';
import { errorText } from '../errors.js';
import type { Network } from '../network/driver.js';
import { CollisionWatch } from '../network/host/collision-watch.js';
import { HostResolvers } from '../network/host/host-resolvers.js';
import { ResolvConfWatch } from '../network/host/resolv-conf-watch.js';
import type { FollowingResolvConf } from './name-files.js';
import type { StartContext } from './options.js';

/** A command that ends sooner does not need it, and is not to wait for it. */
const DELAY_MS = 100;

export interface HostWatchDeps {
  containers: ContainerService | undefined;
  engineHost: EngineHost;
  network: Network;
  /** Undefined if the child has the host's own. */
  resolvConf: FollowingResolvConf | undefined;
}

/** Begins soon, and ends with the stack. */
export function watchHost({ options, log, undo }: StartContext, deps: HostWatchDeps): void {
  const { containers, engineHost, network, resolvConf } = deps;
  if (!resolvConf && !containers) return;
  // With a gateway the network driver does that. What containers ask is sent there by the agent.
  if (containers && !network.egress && network.info && network.info.driver !== 'none') {
    const resolvers = new HostResolvers((...found) => engineHost.engine.setResolvers(...found));
    undo.push('stop watching the resolvers', () => resolvers.close());
  }
  let watch: ResolvConfWatch | undefined;
  let collisions: CollisionWatch | undefined;
  const follow = () => {
    try {
      resolvConf?.follow();
    } catch (error) {
      log.warn(`resolv.conf inside does not follow the host's: ${errorText(error)}`);
    }
    containers?.hostChanged('resolvers');
  };
  const begin = () => {
    watch = new ResolvConfWatch(follow);
    // It may have changed since it was written.
    follow();
    if (options.network.hostNetworks) collisions = new CollisionWatch({ network: () => network.info, log });
    engineHost.watchAddresses(() => {
      containers?.hostChanged('networks');
      collisions?.changed();
    });
  };
  const timer = setTimeout(begin, DELAY_MS).unref();
  undo.push('stop watching the host', () => {
    clearTimeout(timer);
    watch?.close();
    collisions?.close();
  });
}

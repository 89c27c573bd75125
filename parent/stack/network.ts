/** Step of the start: the network of the namespaces. */
import { statePath } from '../../protocol/state/state-layout.js';
import type { ChildNamespaces, Network, NetworkOptions } from '../network/driver.js';
import { needsOfBuiltin, setupNetwork } from '../network/index.js';
import { standInLine } from '../rootlesskit/stand-ins.js';
import type { StartContext } from './options.js';

/** Sets up the network that is wanted, or the first that works; `settings` are for its driver. Throws NetworkError. */
export async function startNetwork(
  context: StartContext,
  child: ChildNamespaces,
  settings: NetworkOptions,
): Promise<Network> {
  const { options, log, undo } = context;
  const { net, portDriver, rootlesskit: face } = options;
  const demands = {
    implicitPorts: portDriver === 'implicit',
    ...(portDriver === 'slirp4netns' ? { apiSocket: statePath(child.stateDir, 'slirp4netnsSocket') } : {}),
  };
  const missing: string[] = [];
  const onNone = face?.network === undefined ? log.info : (reason: string) => missing.push(reason);
  const network = await setupNetwork({
    name: net,
    child,
    options: settings,
    needs: needsOfBuiltin(options),
    demands,
    log,
    onNone,
  });
  undo.push('end the network', () => network.close());
  const driver = network.info?.driver;
  const line = face && standInLine(face, driver ?? net, missing[0]);
  if (line !== undefined) log.warn(line);
  log.debug(`network driver ${driver ?? 'host'}`);
  return network;
}

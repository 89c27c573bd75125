import { API_VERSION, type Info } from '../../protocol/api/types.js';
import { VERSION } from '../../protocol/version.js';
import type { NamesReport } from '../dns/start-names.js';
import type { Launcher } from '../namespaces/launcher.js';
import type { Network } from '../network/driver.js';
import type { PortDriver } from '../port/driver.js';
import { infoBehind } from '../rootlesskit/stand-ins.js';
import type { StateDir } from '../state/state-dir.js';
import type { StackOptions } from './options.js';

export interface InfoSources {
  options: StackOptions;
  stateDir: StateDir;
  launcher: Launcher;
  network: Network;
  ports: PortDriver | undefined;
  hostNames: (() => NamesReport) | undefined;
}

/** What the API reports about the stack; under RootlessKit's name, what RootlessKit would report. */
export function stackInfo({ options, stateDir, launcher, network, ports, hostNames }: InfoSources): Info {
  const info: Info = {
    apiVersion: API_VERSION,
    version: VERSION,
    stateDir: stateDir.path,
    ...(options.name && { name: options.name.text }),
    childPID: launcher.pid,
    ...(network.info ? { networkDriver: network.info } : {}),
    ...(ports ? { portDriver: ports.info } : {}),
    ...(hostNames && { hostNames: hostNames() }),
  };
  return options.rootlesskit ? infoBehind(options.rootlesskit, info) : info;
}

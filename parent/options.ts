import type { PortSpec } from '../protocol/ports.js';
import type { SubIdSource } from './namespaces/id-map.js';
import type { NetworkOptions } from './network/driver.js';
import type { NetworkName } from './network/index.js';
import type { PortDriverName } from './port/index.js';
import type { ActivatedPort } from './systemd/activated-ports.js';

/** Everything that a stack is started with; checked, see bin/run-options.ts for where it comes from. */
export interface StackOptions {
  /** The command and its arguments; absent for a stack without one, which lasts until it is closed. */
  command?: readonly string[];
  /** Absent for a temporary one. */
  stateDir?: string;
  net: NetworkName;
  network: NetworkOptions;
  /** The command stays in the host's network namespace; the new one is pinned to the state directory's `netns`. */
  detachNetns: boolean;
  portDriver: PortDriverName;
  publish: readonly PortSpec[];
  /** Whether servers inside see the addresses of clients that are not on loopback, with the builtin port driver. */
  keepSource: boolean;
  /** What the port driver `bypass` is to do beside ports; absent with the others. */
  bypass?: BypassOptions;
  /** Sockets that are published as they are; they belong to the stack from its start on. */
  adopt?: readonly ActivatedPort[];
  /** File of the ports that last; absent where none do. */
  keptPorts?: string;
  /** Where containers are kept, and the network configuration lists; absent for a stack that runs no containers. */
  containers?: { dataDir: string; confDir: string };
  /** Directories to be writable in the child without being the host's; absolute. */
  copyUp: readonly string[];
  propagation: Propagation;
  /** Namespaces beside user, mnt and net. */
  namespaces: readonly ('pid' | 'ipc' | 'uts' | 'cgroup')[];
  /** Name of the cgroup below ours that all processes of ours are moved to. */
  evacuateCgroup2?: string;
  subIdSource: SubIdSource;
}

export interface BypassOptions {
  /** Connections to the outside are the host's own, too. */
  outbound: boolean;
  /** The command gets the sockets of its ports at the start (sd_listen_fds(3)). */
  activate: boolean;
}

export const propagations = ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'] as const;
export type Propagation = (typeof propagations)[number];

import type { PortSpec } from '../protocol/ports.js';

/** Everything that a stack is started with; checked, see bin/rootless-run.ts for where it comes from. */
export interface StackOptions {
  /** The command and its arguments. */
  command: readonly string[];
  /** Absent for a temporary one. */
  stateDir?: string;
  /** One of networkNames, parent/network/index.ts. */
  net: string;
  mtu: number;
  cidr: string;
  hostLoopback: boolean;
  ipv6: boolean;
  portDriver: 'builtin' | 'none';
  publish: readonly PortSpec[];
  /** Directories to be writable in the child without being the host's; absolute. */
  copyUp: readonly string[];
  propagation: Propagation;
  /** Namespaces beside user, mnt and net. */
  namespaces: readonly ('pid' | 'ipc' | 'uts' | 'cgroup')[];
}

export const propagations = ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'] as const;
export type Propagation = (typeof propagations)[number];

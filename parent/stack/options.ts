import { resolve } from 'node:path';
import type { NameListener } from '../../protocol/dns/name-listener.js';
import type { LearnedFile } from '../../protocol/egress/learned-file.js';
import type { RateLimit } from '../../protocol/egress/rate-limit.js';
import type { EgressRule } from '../../protocol/egress/rule.js';
import type { Subnet } from '../../protocol/net/cidr.js';
import type { AutoPublish } from '../../protocol/ports/auto.js';
import type { PortMapping } from '../../protocol/ports/port-mapping.js';
import type { SubIdSource } from '../namespaces/id-map.js';
import type { StartedLauncher } from '../namespaces/launcher.js';
import type { NetworkOptions } from '../network/driver.js';
import type { NetworkName } from '../network/index.js';
import type { PortDriverName } from '../port/index.js';
import type { RootlessKitFace } from '../rootlesskit/stand-ins.js';
import type { ActivatedPort } from '../systemd/activated-ports.js';
import type { UndoStack } from './undo.js';

export interface StackLog {
  debug(line: string): void;
  info(line: string): void;
  warn(line: string): void;
}

/** What each step of the start has. */
export interface StartContext {
  options: StackOptions;
  log: StackLog;
  undo: UndoStack;
}

/** Everything that a stack is started with; checked, see bin/run/options/ for where it comes from. */
export interface StackOptions {
  /** The launcher, where one already runs; the stack owns it from its start on. */
  launcher?: StartedLauncher;
  /** The command and its arguments; absent for a stack without a command, which lasts until it is closed. */
  command?: readonly string[];
  /** Whether the directories of system programs (sbin) are appended to the command's PATH. */
  systemPath?: boolean;
  /** Absent for a temporary one. */
  stateDir?: string;
  /** Absent under our own name. */
  rootlesskit?: RootlessKitFace;
  /** Name among the running stacks, and the file that is locked while names are given. */
  name?: { text: string; lock: string };
  net: NetworkName;
  network: NetworkOptions;
  /** Where the host's programs may ask for names, and the lock that is held while stacks get names. */
  dnsPublish?: { listener: NameListener; namesLock: string };
  /** What programs inside may reach; everything where absent. */
  egress?: readonly EgressRule[];
  /** Where to write what programs inside need; then there is no policy. */
  learn?: LearnedFile;
  /** In bytes a second; none where absent. */
  limit?: RateLimit;
  /** The command stays in the host's network namespace; the new one is pinned to the state directory's `netns`. */
  detachNetns: boolean;
  portDriver: PortDriverName;
  /** Threads that relay connections, from 1 to MAX_PORT_THREADS; by the available CPUs where absent. */
  portThreads?: number;
  publish: readonly PortMapping[];
  /** What is published while something listens inside; nothing where absent. */
  autoPublish?: readonly AutoPublish[];
  /** Where the router of NAME.localhost listens; absent for none. */
  http?: { ip: string; port: number };
  /** Addresses of loopback for such ports of the stack and its containers; 127.0.0.0/8 where absent. */
  autoAddresses?: Subnet;
  /** Whether servers inside see the addresses of clients that are not on loopback, with the builtin port driver. */
  keepSource: boolean;
  /** Options of the port driver `bypass`; absent with the others. */
  bypass?: BypassOptions;
  /** Sockets that systemd has opened, to be published; the stack owns them from its start on. */
  adopt?: readonly ActivatedPort[];
  /** File of the persistent ports; absent for a stack without. */
  persistentPorts?: string;
  /** Directories of containers and of network configuration lists; absent for a stack that runs no containers. */
  containers?: { dataDir: string; confDir: string };
  /** Where metrics are served over HTTP; nowhere where absent. */
  metrics?: ServedAddress;
  /** Where a page with a picture of the stack is served, on loopback; nowhere where absent. */
  ui?: ServedAddress;
  /** Directories that are copied up: writable in the child, and not the host's; absolute. */
  copyUp: readonly string[];
  propagation: Propagation;
  /** Namespaces beside user, mnt and net. */
  namespaces: readonly ('pid' | 'ipc' | 'uts' | 'cgroup')[];
  /** Name of the cgroup below this process's own that all its processes are moved to. */
  evacuateCgroup2?: string;
  subIdSource: SubIdSource;
}

/** An address of the host for HTTP. */
export interface ServedAddress {
  ip: string;
  port: number;
}

export interface BypassOptions {
  /** TCP connections to the outside are made in the host's network, too. */
  outbound: boolean;
  /** The command gets the sockets of its ports at the start (sd_listen_fds(3)). */
  activate: boolean;
}

export const propagations = ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'] as const;
export type Propagation = (typeof propagations)[number];

/** Absolute, each once. Nothing is copied up where its mounts would appear on the host. */
export function copyUpDirectories(dirs: readonly string[], propagation: Propagation): string[] {
  if (propagation === 'shared' || propagation === 'rshared') return [];
  return [...new Set(dirs.map((dir) => resolve(dir)))];
}

/** Whether the command is in a network namespace of its own, and has name files and devices for it. */
export function hasOwnNetwork({ net, detachNetns }: Pick<StackOptions, 'net' | 'detachNetns'>): boolean {
  return net !== 'host' && !detachNetns;
}

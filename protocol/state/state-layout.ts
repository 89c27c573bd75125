/**
 * The layout of a state directory: the name of each entry that a stack makes in it, and of nothing else. The parent, the
 * network driver's program and the agent make them.
 *
 * The parent refuses a directory with an entry that is not listed here, and removes those that are: a new file needs its
 * name here.
 */
import { join } from 'node:path';

export const STATE_FILES = {
  /** Held while the stack runs; has the stack's record, see stack-record.ts. */
  lock: 'lock',
  /** Pid of a process in all the namespaces. */
  childPid: 'child_pid',
  /** The REST API. */
  apiSocket: 'api.sock',
  /** The agent's part of the API. */
  agentSocket: 'agent.sock',
  /** slirp4netns' own API. */
  slirp4netnsSocket: '.s4nn.sock',
  /** The detached network namespace. */
  netns: 'netns',
  /** Mounted on /etc/hosts … */
  hosts: 'hosts',
  /** … and on /etc/resolv.conf. */
  resolvConf: 'resolv.conf',
  /** Of the CNI plugin dhcp's daemon. */
  dhcpSocket: 'dhcp.sock',
} as const;

export const STATE_DIRECTORIES = {
  /** For each container that runs: the OCI bundle, process ids. */
  containers: 'containers',
  /** Exit codes of containers, until they are known. */
  exits: 'exits',
  /** Network namespaces of containers that have ended, until their interfaces are deleted. */
  netnsPins: 'namespaces',
  /** State of the OCI runtimes. */
  oci: 'oci',
  /** State of the CNI plugin tuning. */
  tuning: 'tuning',
} as const;

export type StateFile = keyof typeof STATE_FILES;
export type StateDirectory = keyof typeof STATE_DIRECTORIES;

const names = { ...STATE_FILES, ...STATE_DIRECTORIES };

/** Path of an entry of the state directory. */
export function statePath(stateDir: string, entry: StateFile | StateDirectory): string {
  return join(stateDir, names[entry]);
}

/** Longest path of a UNIX socket in bytes: sun_path holds 108, the last of which is a NUL (unix(7)). */
export const MAX_SOCKET_PATH = 107;

/** Path of the lock of a data directory, which has the same form as a state directory's. */
export function dataLockPath(dataDir: string): string {
  return join(dataDir, 'lock');
}

const fileNames: readonly string[] = Object.values(STATE_FILES);
const directoryNames: readonly string[] = Object.values(STATE_DIRECTORIES);

/** What an entry of that name is: a file (or socket), or a directory with all that is below it. */
export function stateEntryKind(name: string): 'file' | 'directory' | undefined {
  if (fileNames.includes(name)) return 'file';
  return directoryNames.includes(name) ? 'directory' : undefined;
}

/** Entries of these directories are named after the id of a container; a user's own would not be. */
export const DIRECTORIES_OF_CONTAINERS: readonly StateDirectory[] = ['containers', 'exits'];
export const NAMED_AFTER_CONTAINER = /^\.?[0-9a-f]{64}(\.|$)/;

/**
 * Finds the programs that flows belong to: from the addresses of a socket to its inode, and from there to the process that has
 * it open. Programs inside decide how much there is to look at, so that is bounded; what is not found in time stays unknown.
 */
import { readlinkSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { printable } from '../errors.js';
import {
  chainOf,
  Deadline,
  nameOf,
  pidsOf,
  type StackProcess,
  socketsOf,
  socketTable,
  stackProcesses,
} from './processes.js';
import { findSockets, type SoughtSocket, type Tables } from './sockets.js';

/** For all of it, in ms of work. */
const PATIENCE_MS = 500;
/** Network namespaces of containers that are looked at. */
const MAX_NAMESPACES = 64;
/** Of a name of a program that is shown, in characters. */
const MAX_NAME = 64;

export interface Program {
  pid: number;
  name: string;
  /** Name of the container that it runs in; absent for none, or an unknown one. */
  container?: string;
}

/** A container that runs, with the pid of its first process in the launcher's pid namespace. */
export interface RunningContainer {
  name: string;
  pid: number;
}

export interface StackProcessesDeps {
  /** Pid of the launcher. */
  root: number;
  /** Path of the stack's network namespace where that is detached. */
  netns?: string | undefined;
  containers: () => Promise<RunningContainer[]>;
  /** In ms of work; tests have more. */
  patience?: number;
}

/** The programs, by the index of what is sought. */
export async function findPrograms(
  sought: readonly SoughtSocket[],
  { root, netns: path, containers, patience = PATIENCE_MS }: StackProcessesDeps,
): Promise<Map<number, Program>> {
  const netns = identityOf(root, path);
  if (sought.length === 0 || netns === undefined) return new Map();
  const deadline = new Deadline(patience);
  const processes = await stackProcesses(root, netns, deadline);
  const members = new Map<string, StackProcess>();
  for (const process of processes) if (!members.has(process.netns)) members.set(process.netns, process);
  const own = members.get(netns);
  members.delete(netns);
  const others = [...members.values()].slice(0, MAX_NAMESPACES);
  const tables = await Promise.all(others.map(({ pid }) => tablesOf(pid)));
  const inodes = findSockets(sought, own && (await tablesOf(own.pid)), tables);
  const owners = await findOwners(new Set(inodes.values()), processes, deadline);
  const found = new Map<number, Program>();
  if (owners.size === 0) return found;
  const naming = new ContainerNames(processes, pidsOf(root).length, await containers());
  for (const [index, inode] of inodes) {
    const owner = owners.get(inode);
    if (!owner) continue;
    const container = naming.of(owner);
    found.set(index, {
      pid: owner.pid,
      name: printable(nameOf(owner.pid), MAX_NAME),
      ...(container !== undefined && { container: printable(container, MAX_NAME) }),
    });
  }
  return found;
}

/** Names of the programs that have sockets, by the inodes of these. */
export async function programNames(
  inodes: ReadonlySet<number>,
  { root, netns: path, patience = PATIENCE_MS }: Omit<StackProcessesDeps, 'containers'>,
): Promise<Map<number, string>> {
  const netns = identityOf(root, path);
  if (inodes.size === 0 || netns === undefined) return new Map();
  const deadline = new Deadline(patience);
  const processes = await stackProcesses(root, netns, deadline);
  const owners = await findOwners(new Set([...inodes].map(String)), processes, deadline);
  return new Map([...owners].map(([inode, { pid }]) => [Number(inode), printable(nameOf(pid), MAX_NAME)]));
}

function identityOf(root: number, path: string | undefined): string | undefined {
  try {
    return path === undefined ? readlinkSync(`/proc/${root}/ns/net`) : `net:[${statSync(path).ino}]`;
  } catch {
    return undefined;
  }
}

async function tablesOf(pid: number): Promise<Tables> {
  // Of the namespace's local addresses; only those of IPv4 are listed there.
  const trie = await readFile(`/proc/${pid}/net/fib_trie`, 'latin1').catch(() => '');
  const addresses = new Set([...trie.matchAll(/\|-- (\S+)\n\s+\/32 host LOCAL/g)].map(([, ip]) => ip));
  return { read: (name) => socketTable(pid, name), hasAddress: (ip) => addresses.has(ip) };
}

/** The process of each inode: the first one, where several have it. */
async function findOwners(
  inodes: ReadonlySet<string>,
  processes: readonly StackProcess[],
  deadline: Deadline,
): Promise<Map<string, StackProcess>> {
  const owners = new Map<string, StackProcess>();
  for (const process of processes) {
    if (owners.size === inodes.size || deadline.over) break;
    for (const inode of await socketsOf(process.pid, deadline)) {
      if (inodes.has(inode) && !owners.has(inode)) owners.set(inode, process);
    }
  }
  return owners;
}

/** Which container a process runs in. */
class ContainerNames {
  readonly #processes: ReadonlyMap<number, StackProcess>;
  readonly #names: ReadonlyMap<number, string>;

  /** @param level of the launcher's pid namespace, from 1 for ours */
  constructor(
    processes: readonly StackProcess[],
    private readonly level: number,
    containers: readonly RunningContainer[],
  ) {
    this.#processes = new Map(processes.map((process) => [process.pid, process]));
    this.#names = new Map(containers.map(({ pid, name }) => [pid, name]));
  }

  of(process: StackProcess): string | undefined {
    if (this.#names.size === 0) return undefined;
    for (const { pid } of chainOf(process, this.#processes)) {
      const name = this.#names.get(pidsOf(pid)[this.level - 1] ?? 0);
      if (name !== undefined) return name;
    }
    return undefined;
  }
}

import { readdirSync, readFileSync } from 'node:fs';

/** One process as /proc shows it. */
export interface ProcessInfo {
  pid: number;
  ppid: number;
  /** Name of the executable, at most 15 characters. */
  comm: string;
  /** R, S, D, Z, … as in proc(5). */
  state: string;
  /** Arguments; empty for zombies and kernel threads. */
  args: string[];
}

/** What /proc has about a process, or undefined if there is none of that id. */
export function processInfo(pid: number): ProcessInfo | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name stands in brackets and may hold spaces and brackets itself.
    const end = stat.lastIndexOf(')');
    const [state = '', ppid = ''] = stat.slice(end + 2).split(' ');
    return {
      pid,
      ppid: Number(ppid),
      comm: stat.slice(stat.indexOf('(') + 1, end),
      state,
      args: readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1),
    };
  } catch {
    return undefined;
  }
}

/** Milliseconds of processor time that a process has used, all its threads together (proc(5)). */
export function processorTime(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const [user = '', system = ''] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  // In ticks of 10 ms.
  return (Number(user) + Number(system)) * 10;
}

/** All processes that this process can see, zombies included. */
export function listProcesses(): ProcessInfo[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => processInfo(Number(name)))
    .filter((info) => info !== undefined);
}

/** The process and all its descendants, parents first; zombies are left out. */
export function processTree(pid: number): ProcessInfo[] {
  const all = listProcesses().filter(({ state }) => state !== 'Z' && state !== 'X');
  const tree = all.filter((info) => info.pid === pid);
  for (const parent of tree) tree.push(...all.filter(({ ppid }) => ppid === parent.pid));
  return tree;
}

/** False for a zombie, too: it has ended, and its parent has not asked yet. */
export function isAlive(pid: number): boolean {
  const info = processInfo(pid);
  return info !== undefined && info.state !== 'Z' && info.state !== 'X';
}

/** One line about a process, for messages. */
export function describeProcess({ pid, comm, args }: ProcessInfo): string {
  return `${pid} (${comm}) ${args.join(' ')}`.trimEnd();
}

/** How many descriptors this process has open. */
export function openFds(): number {
  return readdirSync('/proc/self/fd').length;
}

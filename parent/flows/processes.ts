/**
 * The processes of a stack as the kernel lists them: those below the launcher, and those that have entered its network
 * namespace from outside. A look at them is bounded in time and in number, and only made on request.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { readStart, utf8Of } from '../../protocol/system/read-start.js';

/** More are not looked at. */
const MAX_PROCESSES = 20_000;
/** Between two of so many the event loop runs. */
const AT_ONCE = 64;
/** Of one file of a table, in bytes: some 27,000 sockets. */
const MAX_TABLE = 4 * 1024 * 1024;
/** Deeper, a process is not looked for. */
const MAX_DEPTH = 64;

/** An end to work that has taken too long. */
export class Deadline {
  readonly #end: number;
  #steps = 0;

  /** @param ms of work, without the time that other tasks take */
  constructor(ms: number) {
    this.#end = performance.now() + ms;
  }

  get over(): boolean {
    return performance.now() > this.#end;
  }

  /** To be called before each step: lets other tasks run from time to time. Resolves with whether there is time left. */
  async step(): Promise<boolean> {
    if (++this.#steps % AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve));
    return !this.over;
  }
}

export interface StackProcess {
  pid: number;
  parent: number;
  /** Such as `net:[4026532208]`. */
  netns: string;
}

/**
 * @param root pid of the launcher
 * @param netns identity of the stack's network namespace
 */
export async function stackProcesses(root: number, netns: string, deadline: Deadline): Promise<StackProcess[]> {
  const all = new Map<number, StackProcess>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || all.size >= MAX_PROCESSES) continue;
    if (!(await deadline.step())) break;
    const found = lookAt(Number(name));
    if (found) all.set(found.pid, found);
  }
  const isBelow = (process: StackProcess): boolean => chainOf(process, all).some(({ pid }) => pid === root);
  return [...all.values()].filter((process) => process.netns === netns || isBelow(process));
}

/** The process and those above it, as far as they are known. */
export function chainOf(process: StackProcess, all: ReadonlyMap<number, StackProcess>): StackProcess[] {
  const chain: StackProcess[] = [];
  for (let at: StackProcess | undefined = process; at && chain.length < MAX_DEPTH; at = all.get(at.parent))
    chain.push(at);
  return chain;
}

/** Undefined if it has ended, or is another user's. */
function lookAt(pid: number): StackProcess | undefined {
  try {
    const netns = readlinkSync(`/proc/${pid}/ns/net`);
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name is in parentheses and may itself contain spaces and parentheses.
    const [, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { pid, parent: Number(parent), netns };
  } catch {
    return undefined;
  }
}

/** Inodes of the sockets that a process has; the directory is read as far as there is time. */
export async function socketsOf(pid: number, deadline: Deadline): Promise<string[]> {
  const inodes: string[] = [];
  for (const fd of list(`/proc/${pid}/fd`)) {
    if (!(await deadline.step())) break;
    const inode = /^socket:\[(\d+)\]$/.exec(link(`/proc/${pid}/fd/${fd}`))?.[1];
    if (inode !== undefined) inodes.push(inode);
  }
  return inodes;
}

/** As its program is called (comm, proc(5)); a program chooses that itself. "" if the process has ended. */
export function nameOf(pid: number): string {
  return utf8Of(readStart(`/proc/${pid}/comm`, 64)).trimEnd();
}

/** Its pids in the namespaces that it is in, from ours to its own (NSpid in /proc/PID/status). */
export function pidsOf(pid: number): number[] {
  const line = /^NSpid:(.*)$/m.exec(readStart(`/proc/${pid}/status`, 4096))?.[1] ?? '';
  return line.trim().split(/\s+/).map(Number);
}

/** Beginning of a table of sockets in the network namespace of a process; "" if there is none. */
export function socketTable(pid: number, name: 'tcp' | 'tcp6' | 'udp' | 'udp6'): string {
  return readStart(`/proc/${pid}/net/${name}`, MAX_TABLE);
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

/**
 * What a container uses, by the files of the kernel: cgroups(7) for processors, memory and disks, where it has a cgroup of its
 * own; proc(5) for its network. Programs in it decide how long some of them are, so only a part is read.
 */
import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { ContainerProcess, ContainerUsage } from '../../../protocol/api/usage.js';
import { CGROUP_ROOT } from '../../../protocol/system/cgroup.js';
import { readStart, utf8Of } from '../../../protocol/system/read-start.js';
import { MAX_PART, printable } from '../../../protocol/text/printable-text.js';
import type { RunRecord } from '../storage/container-store.js';

const MAX_FILE = 64 * 1024;
/** Processes that are listed, and those of the machine that are looked at. */
const MAX_PROCESSES = 1000;
const MAX_LOOKS = 20_000;
/** USER_HZ, which is the same on all architectures that Node runs on. */
const TICKS = 100;

/** Counters; what is not counted is absent. */
export type Usage = Omit<ContainerUsage, 'id' | 'name'>;

/** Of a running container. */
export function usageOf({ pid, cgroup }: RunRecord): Usage {
  return { ...(cgroup !== undefined && cgroupUsage(join(CGROUP_ROOT, cgroup))), ...(pid && networkUsage(pid)) };
}

function cgroupUsage(directory: string): Usage {
  const read = (name: string) => readStart(join(directory, name), MAX_FILE);
  const memory = numberIn(read('memory.current'));
  // As docker shows it.
  const dropped = fieldIn(read('memory.stat'), 'inactive_file') ?? 0;
  const io = read('io.stat');
  return defined({
    cpuTime: fieldIn(read('cpu.stat'), 'usage_usec'),
    memory: memory === undefined ? undefined : Math.max(0, memory - dropped),
    memoryLimit: numberIn(read('memory.max')),
    processes: numberIn(read('pids.current')),
    read: io === '' ? undefined : sumIn(io, /\brbytes=(\d+)/g),
    written: io === '' ? undefined : sumIn(io, /\bwbytes=(\d+)/g),
  });
}

/** Nothing of a container that shares the stack's network. */
function networkUsage(pid: number): Usage {
  const netns = namespaceOf(pid, 'net');
  if (netns === undefined || netns === namespaceOf('self', 'net')) return {};
  let received = 0;
  let sent = 0;
  for (const [, name, counters = ''] of readStart(`/proc/${pid}/net/dev`, MAX_FILE).matchAll(/^\s*(\S+):(.*)$/gm)) {
    const fields = counters.trim().split(/\s+/).map(Number);
    if (name === 'lo' || fields.length < 16) continue;
    received += fields[0] ?? 0;
    sent += fields[8] ?? 0;
  }
  return { received, sent };
}

/** The processes in the pid namespace of a container, and below it. @param pid its first process */
export function processesOf(pid: number): ContainerProcess[] {
  const wanted = namespaceOf(pid, 'pid');
  if (wanted === undefined) return [];
  const boot = Number(/^btime (\d+)/m.exec(readStart('/proc/stat', 1024 * 1024))?.[1] ?? 0);
  const found: ContainerProcess[] = [];
  const members = new Set([pid]);
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  for (const name of pids.slice(0, MAX_LOOKS)) {
    const stat = readStart(`/proc/${name}/stat`, 4096);
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const parent = Number(fields[1]);
    if (namespaceOf(Number(name), 'pid') !== wanted && !members.has(parent)) continue;
    members.add(Number(name));
    const words = readStart(`/proc/${name}/cmdline`, 4 * MAX_PART).replaceAll('\0', ' ');
    const own = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    found.push({
      pid: Number(name),
      parent,
      uid: Number(/^Uid:\s+(\d+)/m.exec(readStart(`/proc/${name}/status`, 4096))?.[1] ?? 0),
      cpuTime: (Number(fields[11]) + Number(fields[12])) / TICKS || 0,
      started: (boot + Number(fields[19]) / TICKS) * 1000 || 0,
      command: printable(utf8Of(words.trim() || `[${own}]`)),
    });
    if (found.length === MAX_PROCESSES) break;
  }
  return found;
}

function namespaceOf(pid: number | 'self', kind: 'net' | 'pid'): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/${kind}`);
  } catch {
    return undefined;
  }
}

/** Undefined for "max" as well. */
function numberIn(text: string): number | undefined {
  return /^\d+$/.test(text.trim()) ? Number(text) : undefined;
}

function fieldIn(text: string, name: string): number | undefined {
  const value = new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1];
  return value === undefined ? undefined : Number(value);
}

function sumIn(text: string, pattern: RegExp): number {
  return [...text.matchAll(pattern)].reduce((sum, [, value]) => sum + Number(value), 0);
}

function defined(fields: { [Name in keyof Usage]: number | undefined }): Usage {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

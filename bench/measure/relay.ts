// The processes of a candidate that are not its server's, and what they use.
import { readFileSync } from 'node:fs';
import { type ProcessInfo, processTree } from '../test/support/process-info.js';

/** Those below `pid`, itself included, without the server and all below it. */
export function relayProcesses(pid: number, server: readonly string[]): number[] {
  return withoutServer(processTree(pid), server);
}

/** The ids in a tree (parents first) that neither are the server nor descend from it. */
export function withoutServer(tree: readonly ProcessInfo[], server: readonly string[]): number[] {
  const servers = new Set<number>();
  for (const { pid, ppid, args } of tree) {
    if (servers.has(ppid) || args.join('\0') === server.join('\0')) servers.add(pid);
  }
  return tree.map(({ pid }) => pid).filter((pid) => !servers.has(pid));
}

/** Of the kernel's accounting, see proc(5); Linux has told programs 100 a second on every architecture for decades. */
const ticksPerSecond = 100;

/** Processor time in seconds, that of children which have ended included; none for processes that are gone. */
export function processorSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) ticks += parseTicks(readProcess(pid, 'stat'));
  return ticks / ticksPerSecond;
}

/** Sum of utime, stime, cutime and cstime in the text of /proc/PID/stat. */
export function parseTicks(stat: string): number {
  // The name stands in brackets and may hold spaces and brackets itself.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
}

/** Memory in MiB, where pages that several processes share count for each by its part. */
export function proportionalMemory(pids: readonly number[]): number {
  let kibibytes = 0;
  for (const pid of pids) kibibytes += parsePss(readProcess(pid, 'smaps_rollup'));
  return kibibytes / 1024;
}

/** KiB in the text of /proc/PID/smaps_rollup. */
export function parsePss(text: string): number {
  return Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0);
}

function readProcess(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

// The forwarding processes of a candidate, and their memory.
import { readFileSync } from 'node:fs';
import { type ProcessInfo, processTree } from '../../test/support/process-info.js';

/** Ids of `pid` and its descendants, without the server and its descendants. */
export function relayProcesses(pid: number, server: readonly string[]): number[] {
  return withoutServer(processTree(pid), server);
}

/** Ids of a process tree (parents first), without the server and its descendants. */
export function withoutServer(tree: readonly ProcessInfo[], server: readonly string[]): number[] {
  const servers = new Set<number>();
  for (const { pid, ppid, args } of tree) {
    if (servers.has(ppid) || args.join('\0') === server.join('\0')) servers.add(pid);
  }
  return tree.map(({ pid }) => pid).filter((pid) => !servers.has(pid));
}

/** Memory in MiB; shared pages are divided among the processes that share them (PSS). */
export function proportionalMemory(pids: readonly number[]): number {
  let kibibytes = 0;
  for (const pid of pids) kibibytes += parsePss(readProcess(pid, 'smaps_rollup'));
  return kibibytes / 1024;
}

/** KiB in the text of /proc/PID/smaps_rollup. */
export function parsePss(text: string): number {
  return Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0);
}

/** The text of a file in /proc/PID, empty if the process has ended. */
export function readProcess(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

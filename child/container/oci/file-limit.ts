import { readFileSync } from 'node:fs';

/** An entry of `process.rlimits` (runtime-spec, config.md). */
export interface Rlimit {
  type: string;
  soft: number;
  hard: number;
}

/**
 * The limit of open files that the stack was started with, which containers get. Node has raised our own, and containers
 * would inherit that; the launcher, our parent process, still has the original one (proc(5), /proc/PID/limits). Undefined
 * where it cannot be read.
 */
export function fileLimit(pid: number = process.ppid): Rlimit | undefined {
  try {
    const [, soft, hard] = /^Max open files +(\d+) +(\d+) /m.exec(readFileSync(`/proc/${pid}/limits`, 'utf8')) ?? [];
    if (soft === undefined || hard === undefined) return undefined;
    return { type: 'RLIMIT_NOFILE', soft: Number(soft), hard: Number(hard) };
  } catch {
    return undefined;
  }
}

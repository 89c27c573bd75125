// Processor time: of processes, and of the whole machine.
import { readFileSync } from 'node:fs';
import { readProcess } from './relay.js';

/** Unit of the kernel's accounting, see proc(5): 100 on every architecture (USER_HZ). */
const ticksPerSecond = 100;

/** Processor time in seconds, including that of ended children; 0 for processes that have ended. */
export function processorSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) ticks += parseTicks(readProcess(pid, 'stat'));
  return ticks / ticksPerSecond;
}

/** Sum of utime, stime, cutime and cstime in the text of /proc/PID/stat. */
export function parseTicks(stat: string): number {
  // The name is in parentheses and may itself contain spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
}

/** Time of all processors since boot. */
export interface ProcessorTime {
  /** In ticks, as is the part that the hypervisor gave to others. */
  total: number;
  steal: number;
  /** In which they did something here, in seconds. */
  busy: number;
}

export function processorTime(): ProcessorTime {
  return parseProcessorTime(readFileSync('/proc/stat', 'utf8'));
}

/** From the text of /proc/stat. */
export function parseProcessorTime(text: string): ProcessorTime {
  const [line = ''] = text.split('\n');
  const ticks = line.split(/\s+/).slice(1, 9).map(Number);
  const total = ticks.reduce((sum, value) => sum + value, 0);
  const [, , , idle = 0, waiting = 0, , , steal = 0] = ticks;
  return { total, steal, busy: (total - idle - waiting - steal) / ticksPerSecond };
}

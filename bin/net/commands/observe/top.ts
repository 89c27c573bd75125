/** `top`: the processes of a container. */
import { Command } from 'commander';
import type { ContainerProcess } from '../../../../protocol/api/usage.js';
import { formatColumns } from '../../../common/table.js';
import type { NetDeps } from '../../deps.js';

const COLUMNS = ['UID', 'PID', 'PPID', 'STARTED', 'TIME', 'COMMAND'];

export function makeTopCommand({ stack }: NetDeps): Command {
  return new Command('top')
    .description("list the processes of a container, with the pids that they have in the stack's pid namespace")
    .argument('<container>')
    .action(async (name: string) => {
      const client = await stack.connectForExisting('container', [name]);
      const processes = await client.processes(name);
      process.stdout.write(formatColumns([COLUMNS, ...processes.map(cells)]));
    });
}

function cells({ uid, pid, parent, started, cpuTime, command }: ContainerProcess): string[] {
  const began = new Date(started);
  const text = Number.isNaN(began.getTime()) ? '' : began.toISOString().slice(0, 19).replace('T', ' ');
  return [`${uid}`, `${pid}`, `${parent}`, text, timeText(cpuTime), command];
}

/** As ps(1) has it: hours, minutes, seconds. */
function timeText(seconds: number): string {
  const [whole, two] = [Math.floor(seconds), (value: number) => String(value).padStart(2, '0')];
  return [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60].map(two).join(':');
}

/** `stats`: what running containers use, with docker's columns. */
import { totalmem } from 'node:os';
import { Command, Option } from 'commander';
import type { ContainerClient } from '../../../../parent/client/container-client.js';
import { isMissing } from '../../../../parent/client/errors.js';
import type { ContainerUsage } from '../../../../protocol/api/usage.js';
import { formatColumns } from '../../../common/table.js';
import { untilInterrupted } from '../../../ctl/connection.js';
import { follow } from '../../../ctl/top/follow.js';
import { FullScreen } from '../../../ctl/top/terminal.js';
import type { NetDeps } from '../../deps.js';
import { type Format, listFormatOption, printList } from '../../docker/format.js';
import { USAGE_COLUMNS, USAGE_HEADINGS, usageCells, usageRow } from '../../docker/usage.js';
import type { Struct } from '../../template/index.js';

const INTERVAL_MS = 1000;

interface Sample {
  /** In ms, monotonic. */
  time: number;
  usage: readonly ContainerUsage[];
}

interface StatsOptions {
  stream: boolean;
  trunc: boolean;
  format?: Format;
}

export function makeStatsCommand({ stack }: NetDeps): Command {
  return (
    new Command('stats')
      .description('show what running containers use of processors, memory, network and disks')
      .argument('[container...]', 'all that run unless given')
      .option('--no-stream', 'show it once, after a second')
      .option('--no-trunc', 'do not truncate values')
      .addOption(listFormatOption())
      // All that run are shown in any case; others use nothing.
      .addOption(new Option('-a, --all').hideHelp())
      .action(async (names: string[], { stream, trunc, format = { kind: 'table' } }: StatsOptions) => {
        const client = await stack.connectForExisting('container', names);
        const ids = await Promise.all(names.map(async (name) => (await client.inspect(name)).id));
        using screen = stream && process.stdout.isTTY && format.kind === 'table' ? new FullScreen() : undefined;
        const signal = screen?.closed ?? untilInterrupted();
        const take = async (): Promise<Sample> => {
          const usage = await usageOf(client, ids);
          return { time: performance.now(), usage };
        };
        const show = (before: Sample, now: Sample) => {
          const rows = rowsOf(before, now, !trunc);
          if (screen) screen.draw(({ columns }) => table(rows, columns));
          else printList(format, { rows, headings: USAGE_HEADINGS, table: () => table(rows) });
        };
        await follow(await take(), { take, show, intervalMs: INTERVAL_MS, repeats: stream, signal, screen });
      })
  );
}

/** Of those containers, or of all. A stack that is still starting has none. */
async function usageOf(client: ContainerClient, ids: readonly string[]): Promise<ContainerUsage[]> {
  const all = await client.usage().catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
  return ids.length === 0 ? all : all.filter(({ id }) => ids.includes(id));
}

function rowsOf(before: Sample, now: Sample, noTrunc: boolean): Struct[] {
  const options = { noTrunc, interval: (now.time - before.time) / 1000, totalMemory: totalmem() };
  return now.usage.map((usage) =>
    usageRow(usage, { ...options, before: before.usage.find(({ id }) => id === usage.id) }),
  );
}

function table(rows: readonly Struct[], room?: number): string {
  return formatColumns([USAGE_COLUMNS, ...rows.map(usageCells)], room);
}

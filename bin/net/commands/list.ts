/** `ps`, `inspect`, `port` and `logs`. */
import { Command, Option } from 'commander';
import { OfflineContainers } from '../../../parent/client/offline-containers.js';
import { UsageError } from '../../../parent/errors.js';
import { LogTimeError, parseLogTime } from '../../../protocol/containers/log-options.js';
import type { ContainerReport } from '../../../protocol/containers/types.js';
import { optionProblem } from '../../common/option-problem.js';
import { printLine } from '../../common/print.js';
import { formatColumns } from '../../common/table.js';
import type { NetDeps } from '../deps.js';
import { CONTAINER_FILTERS, REFUSED_CONTAINER_FILTERS } from '../docker/container-filters.js';
import { CONTAINER_COLUMNS, CONTAINER_HEADINGS, containerCells, containerRow } from '../docker/container-row.js';
import { type Filters, parseFilters } from '../docker/filters.js';
import { inspectAny, TYPES, type Type } from '../docker/inspect.js';
import { portLines } from '../docker/ports.js';
import { runStream } from '../stream-terminal.js';
import { type InspectOptions, inspectEach, withInspectOptions } from './inspect-options.js';
import { type ListOptions, printReports, withListOptions } from './list-options.js';

interface PsOptions extends ListOptions {
  all?: boolean;
  last?: number;
  latest?: boolean;
}

export function makePsCommand({ stack }: NetDeps): Command {
  const command = new Command('ps')
    .description('list containers')
    .option('-a, --all', 'include containers that are not running')
    .addOption(new Option('-n, --last <count>', 'the containers created last, running or not').argParser(parseCount))
    .option('-l, --latest', 'the container created last, running or not');
  return withListOptions(command, Object.keys(CONTAINER_FILTERS))
    .addOption(new Option('-s, --size').hideHelp())
    .action(async (options: PsOptions) => {
      const filters = parseFilters(options.filter, CONTAINER_FILTERS, { refused: REFUSED_CONTAINER_FILTERS });
      const reports = select(await (await stack.connectForReading()).list(), options, filters);
      const shown = { now: Date.now(), noTrunc: !options.trunc };
      printReports(reports, options, {
        row: (report) => containerRow(report, shown),
        headings: CONTAINER_HEADINGS,
        table: () => formatColumns([CONTAINER_COLUMNS, ...reports.map((report) => containerCells(report, shown))]),
      });
    });
}

/** The newest first. */
function select(
  all: readonly ContainerReport[],
  options: PsOptions,
  filters: Filters<ContainerReport>,
): ContainerReport[] {
  const { last = -1, latest = false } = options;
  const most = latest ? 1 : last;
  // As with docker, these options include containers that are not running.
  const whole = options.all || most > 0 || filters.has('status') || filters.has('exited');
  const selected = filters.select(all).filter(({ status }) => whole || status === 'running' || status === 'restarting');
  return selected.toReversed().slice(0, most > 0 ? most : undefined);
}

/** As with docker, -1 means all. Throws UsageError. */
function parseCount(text: string): number {
  if (/^(-1|\d{1,6})$/.test(text)) return Number(text);
  throw new UsageError(`invalid --last ${JSON.stringify(text)}: expected a number of containers`);
}

export function makeInspectCommand({ stack, report }: NetDeps): Command {
  return withInspectOptions(new Command('inspect'))
    .description('show containers and networks in detail, as JSON')
    .argument('<name...>')
    .addOption(new Option('--type <type>', 'type of the objects (default: the first one of that name)').choices(TYPES))
    .addOption(new Option('-s, --size').hideHelp())
    .action(async (names: string[], options: InspectOptions & { type?: Type }) => {
      const reports = await stack.connectForReading();
      await inspectEach(report, names, options, (name) => inspectAny(reports, name, options.mode, options.type));
    });
}

export function makePortCommand({ stack }: NetDeps): Command {
  return new Command('port')
    .description('list the published ports of a container')
    .argument('<container>')
    .argument('[port]', 'containerPort[/proto]')
    .action(async (name: string, port?: string) => {
      const report = await (await stack.connectForReading()).inspect(name);
      for (const line of portLines(report, port)) printLine(line);
    });
}

interface LogsOptions {
  follow?: boolean;
  tail: string;
  since?: string;
  until?: string;
  timestamps?: boolean;
}

export function makeLogsCommand({ stack }: NetDeps): Command {
  return (
    new Command('logs')
      .description('show the output of a container')
      .argument('<container>')
      .option('-f, --follow', 'follow the output until the container exits')
      .option('-n, --tail <count>', 'number of lines from the end, or "all"', 'all')
      .option('--since <time>', 'only lines from that time on: RFC 3339, seconds since 1970, or a duration ago (10m)')
      .option('--until <time>', 'only lines up to that time')
      .option('-t, --timestamps', 'show the time of each line')
      // docker's; log lines have no attributes here.
      .addOption(new Option('--details').hideHelp())
      .action(async (name: string, options: LogsOptions) => {
        const { follow = false, timestamps = false } = options;
        const tail = parseTail(options.tail);
        const since = parseTime('--since', options.since);
        const until = parseTime('--until', options.until);
        const containers = await stack.connectForReading();
        const request = { follow, timestamps, tail, since, until };
        if (containers instanceof OfflineContainers) return containers.printLog(name, request);
        const { id } = await containers.inspect(name);
        const stream = await containers.logs(id, request);
        await runStream(stream, { tty: false, stdin: false, signals: false });
      })
  );
}

/** Undefined for all lines, as is, with docker, any negative number. Throws UsageError. */
function parseTail(text: string): number | undefined {
  if (text === 'all' || /^-\d+$/.test(text)) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new UsageError(`invalid --tail ${JSON.stringify(text)}: expected a number of lines, or all`);
}

/** Throws UsageError. */
function parseTime(option: string, text: string | undefined): string | undefined {
  try {
    return text === undefined ? undefined : parseLogTime(text);
  } catch (error) {
    if (error instanceof LogTimeError) throw new UsageError(optionProblem(option, error.message));
    throw error;
  }
}

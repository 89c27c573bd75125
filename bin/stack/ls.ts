/** `rootless-run ls`: the running stacks of this user. */
import { Command } from 'commander';
import { StackClient } from '../../parent/client/stack-client.js';
import { findStacks } from '../../parent/stack-discovery/running.js';
import { knownLocks } from '../../parent/state/user-directories.js';
import type { Info, PortReport } from '../../protocol/api/types.js';
import { protocolName } from '../../protocol/ports/port-mapping.js';
import { parsePortSpecJSON } from '../../protocol/ports/rootlesskit-json.js';
import type { StackRecord } from '../../protocol/state/stack-record.js';
import { printable } from '../../protocol/text/printable-text.js';
import { printErrorLine, printJSON } from '../common/print.js';
import { runSubcommand } from '../common/subcommand.js';
import { formatColumns } from '../common/table.js';
import { portsText } from '../net/docker/ports.js';
import { sinceText } from '../net/docker/time.js';

/** Longest time in ms for a stack to report its state; a stack that hangs is listed as well. */
const DEADLINE = 2_000;
/** Longest command in the table, in characters. */
const MAX_COMMAND = 40;

/** A stack and its current state; `info` is undefined if it does not answer. */
interface Listed {
  record: StackRecord;
  info: Info | undefined;
  ports: PortReport[];
}

export function makeLsCommand(): Command {
  return new Command('rootless-run ls')
    .usage('[options]')
    .description("List this user's running stacks, whichever program started them.")
    .option('--json', 'one JSON object per line')
    .option('-q, --quiet', 'only names, or state directories of stacks without a name')
    .allowExcessArguments(false);
}

/** Resolves with the exit code. */
export function ls(args: readonly string[]): Promise<number> {
  const command = makeLsCommand().action(
    async ({ json = false, quiet = false }: { json?: boolean; quiet?: boolean }) => {
      const { running, remnants } = await findStacks(knownLocks());
      if (quiet) {
        for (const { name, stateDir } of running) process.stdout.write(`${printable(name ?? stateDir)}\n`);
        return;
      }
      const list = await Promise.all(running.map(query));
      if (json) for (const entry of list) printJSON(asJSON(entry));
      else process.stdout.write(asTable(list));
      for (const { pid, record } of remnants) {
        printErrorLine(
          `process ${pid} is left over from a stack that was killed (pid ${record.process.pid}, ${record.stateDir}); hint: rootless-run stop ${record.stateDir}`,
        );
      }
    },
  );
  return runSubcommand(command, args);
}

async function query(record: StackRecord): Promise<Listed> {
  const client = new StackClient(record.socket);
  const call = <T>(path: string) => client.call('GET', path, undefined, DEADLINE).then((value) => value as T);
  try {
    const info = await call<Info>('/v1/info');
    // The API answers with an error if there is no port driver.
    const ports = await call<PortReport[] | null>('/v1/ports').catch(() => null);
    return { record, info, ports: ports ?? [] };
  } catch {
    return { record, info: undefined, ports: [] };
  }
}

function asJSON({ record, info, ports }: Listed): unknown {
  const { name, stateDir, socket, process, started, program, command, net } = record;
  return {
    ...(name !== undefined && { name }),
    stateDir,
    socket,
    pid: process.pid,
    started,
    program,
    ...(command && { command }),
    networkDriver: info?.networkDriver?.driver ?? net,
    ...(info?.portDriver && { portDriver: info.portDriver.driver }),
    ports: ports.map(({ id, spec }) => ({ id, spec })),
    answers: info !== undefined,
  };
}

function asTable(list: readonly Listed[]): string {
  const header = ['NAME', 'PID', 'STARTED', 'COMMAND', 'NETWORK', 'PORTS', 'STATE DIRECTORY'];
  const rows = list.map(({ record, info, ports }) => [
    record.name ?? '',
    `${record.process.pid}`,
    record.started && `${sinceText(record.started, Date.now())} ago`,
    printable(record.command?.join(' ') ?? `${record.program} serve`, MAX_COMMAND),
    info?.networkDriver?.driver ?? record.net,
    info ? publishedText(ports) : '(does not answer)',
    record.stateDir,
  ]);
  return formatColumns([header, ...rows]);
}

function publishedText(ports: readonly PortReport[]): string {
  return portsText(
    ports.map(({ spec }) => parsePortSpecJSON(spec)),
    protocolName,
  );
}

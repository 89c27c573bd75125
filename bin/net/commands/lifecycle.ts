/** `start`, `stop`, `restart`, `kill`, `rm` and `rename`. */
import { Command, Option } from 'commander';
import { APIError } from '../../../parent/client/errors.js';
import { errorText, UsageError } from '../../../parent/errors.js';
import { printErrorLine, printLine } from '../../common/print.js';
import type { NetDeps } from '../deps.js';
import { DETACH_KEYS, parseDetachKeys } from '../detach-keys.js';
import { withForeignOptions } from '../options/foreign-options.js';
import { parseSeconds } from '../options/values.js';
import { ownSize, runStream } from '../stream-terminal.js';

interface StopOptions {
  time?: number;
  timeout?: number;
  signal?: string;
}

export function makeStartCommand(deps: NetDeps): Command {
  const { stack, report } = deps;
  return withForeignOptions(new Command('start'))
    .description('start containers')
    .argument('<container...>')
    .option('-a, --attach', 'show the output of the container, and exit with its exit code')
    .option('-i, --interactive', 'attach, and forward standard input')
    .option(...DETACH_KEYS)
    .action(async (names: string[], options: { attach?: boolean; detachKeys: string; interactive?: boolean }) => {
      if (options.attach || options.interactive) return startAttached(deps, names, options.detachKeys);
      const containers = await stack.connectForExisting('container', names);
      await report.each(names, async (name) => {
        report.chosenPorts(await containers.start(name));
        printLine(name);
      });
    });
}

async function startAttached({ stack, report }: NetDeps, names: readonly string[], detachKeys: string): Promise<void> {
  report.runsProgram();
  parseDetachKeys(detachKeys);
  const containers = await stack.connectForExisting('container', names);
  if (names.length > 1) throw new UsageError('cannot attach to more than one container');
  const { id, request } = await containers.inspect(names[0] ?? '');
  const { tty, stdin } = request;
  const kill = (signal: NodeJS.Signals) => containers.kill(id, signal);
  const stream = await containers.attach(id, { start: true, size: ownSize() });
  process.exitCode = await runStream(stream, { tty, stdin, detachKeys, kill });
}

/** docker's name of the first option is `--timeout`, and was `--time`. */
function withStopOptions(command: Command): Command {
  return command
    .option(
      '-t, --time <seconds>',
      "time before it is killed, -1 for no limit (default: the container's own)",
      parseSeconds,
    )
    .addOption(new Option('--timeout <seconds>').argParser(parseSeconds).hideHelp())
    .option('-s, --signal <signal>', "signal to stop it with (default: the container's own)");
}

export function makeStopCommand({ stack, report }: NetDeps): Command {
  return withStopOptions(new Command('stop').description('stop containers').argument('<container...>')).action(
    async (names: string[], { time, timeout = time, signal }: StopOptions) => {
      const containers = await stack.connectForExisting('container', names);
      await report.each(names, async (name) => {
        await containers.stop(name, timeout, signal);
        printLine(name);
      });
    },
  );
}

export function makeRestartCommand({ stack, report }: NetDeps): Command {
  return withStopOptions(
    new Command('restart').description('stop containers and start them again').argument('<container...>'),
  ).action(async (names: string[], { time, timeout = time, signal }: StopOptions) => {
    const containers = await stack.connectForExisting('container', names);
    await report.each(names, async (name) => {
      report.chosenPorts(await containers.restart(name, timeout, signal));
      printLine(name);
    });
  });
}

export function makeKillCommand({ stack, report }: NetDeps): Command {
  return new Command('kill')
    .description('send a signal to containers')
    .argument('<container...>')
    .option('-s, --signal <signal>', 'name of the signal', 'KILL')
    .action(async (names: string[], { signal }: { signal: string }) => {
      const containers = await stack.connectForExisting('container', names);
      await report.each(names, async (name) => {
        await containers.kill(name, signal);
        printLine(name);
      });
    });
}

export function makeRmCommand({ stack, report }: NetDeps): Command {
  return (
    withForeignOptions(new Command('rm'))
      .description('remove containers, and release their names, addresses and ports')
      .argument('<container...>')
      .option('-f, --force', 'kill running containers first')
      // docker's, for volumes, which do not exist here.
      .addOption(new Option('-v, --volumes').hideHelp())
      .action(async (names: string[], { force = false }: { force?: boolean }) => {
        const containers = await stack
          .connectForExisting('container', names)
          .catch((error: unknown) => reportMissing(error, force));
        if (!containers) return;
        await report.each(names, async (name) => {
          try {
            await containers.remove(name, { force });
            printLine(name);
          } catch (error) {
            reportMissing(error, force);
          }
        });
      })
  );
}

/**
 * With force, as with docker, a container that does not exist is reported, but is not a failure: scripts begin with `rm -f`.
 * Throws the error otherwise.
 */
function reportMissing(error: unknown, force: boolean): void {
  if (!force || !(error instanceof APIError) || error.code !== 'no-such-container') throw error;
  printErrorLine(`error: ${errorText(error)}`);
}

export function makeRenameCommand({ stack }: NetDeps): Command {
  return new Command('rename')
    .description('rename a container')
    .argument('<container>')
    .argument('<name>')
    .action(async (name: string, to: string) => (await stack.connectForExisting('container', [name])).rename(name, to));
}

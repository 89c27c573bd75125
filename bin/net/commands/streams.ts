/** `attach`, `wait` and `exec`. */
import { Command, Option } from 'commander';
import { UsageError } from '../../../parent/errors.js';
import { printLine } from '../../common/print.js';
import type { NetDeps } from '../deps.js';
import { DETACH_KEYS, parseDetachKeys } from '../detach-keys.js';
import type { CreateOptions } from '../options/create-options.js';
import { withForeignOptions } from '../options/foreign-options.js';
import { environment } from '../options/program-options.js';
import { collect } from '../options/values.js';
import { ownSize, runStream } from '../stream-terminal.js';

export function makeAttachCommand({ stack, report }: NetDeps): Command {
  return withForeignOptions(new Command('attach'))
    .description('show the output of a running container, and forward standard input')
    .argument('<container>')
    .option('--no-stdin', 'do not forward standard input')
    .option(...DETACH_KEYS)
    .addOption(new Option('--sig-proxy').default(true).hideHelp())
    .option('--no-sig-proxy', 'do not pass signals to the container')
    .action(async (name: string, options: { detachKeys: string; stdin: boolean; sigProxy: boolean }) => {
      report.runsProgram();
      parseDetachKeys(options.detachKeys);
      const containers = await stack.connectForExisting('container', [name]);
      const container = await containers.inspect(name);
      if (container.status !== 'running') throw new UsageError(`the container ${container.name} is not running`);
      const { tty, stdin } = container.request;
      const stream = await containers.attach(container.id);
      const { detachKeys, sigProxy } = options;
      process.exitCode = await runStream(stream, { tty, stdin: stdin && options.stdin, detachKeys, signals: sigProxy });
    });
}

export function makeWaitCommand({ stack, report }: NetDeps): Command {
  return new Command('wait')
    .description('wait until containers have exited, and print their exit codes')
    .argument('<container...>')
    .action(async (names: string[]) => {
      const containers = await stack.connectForReading();
      await report.each(names, async (name) => printLine(String((await containers.wait(name)) ?? 'unknown')));
    });
}

type ExecOptions = Partial<CreateOptions> & { detach?: boolean };

export function makeExecCommand({ stack, report }: NetDeps): Command {
  return withForeignOptions(new Command('exec'))
    .description('run a program in a running container')
    .argument('<container>')
    .argument('<command...>', 'program and arguments')
    .option('-e, --env <variable>', 'NAME=value, or NAME to pass on; may be repeated', collect, [])
    .option('--env-file <file>', 'file with one variable per line; may be repeated', collect, [])
    .option('-w, --workdir <dir>', 'working directory in the container')
    .option('-u, --user <user>', "USER[:GROUP], as names in the container's /etc/passwd and /etc/group, or as numbers")
    .option('-t, --tty', 'allocate a terminal')
    .option('-i, --interactive', 'forward standard input')
    .option('-d, --detach', 'run in the background')
    .passThroughOptions()
    .action(async (name: string, command: string[], options: ExecOptions) => {
      report.runsProgram();
      const { tty = false, interactive = false, detach = false, env = [], envFile = [] } = options;
      const stdin = interactive && !detach;
      const request = {
        command: command[0] === '--' ? command.slice(1) : command,
        env: environment({ env, envFile }),
        cwd: options.workdir,
        user: options.user,
        tty,
        stdin,
        // A stack of an earlier version does not accept the field.
        ...(detach && { detach }),
        size: ownSize(),
      };
      const stream = await (await stack.connectForExisting('container', [name])).exec(name, request);
      process.exitCode = await runStream(stream, { tty: tty && !detach, stdin });
    });
}

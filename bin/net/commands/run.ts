/** `run` and `create`. */
import { Command, Option } from 'commander';
import type { ContainerClient, NewContainer } from '../../../parent/client/container-client.js';
import { shortId } from '../../../protocol/containers/short-id.js';
import type { ContainerReport } from '../../../protocol/containers/types.js';
import { errorText } from '../../../protocol/errors/error-text.js';
import { printErrorLine, printLine } from '../../common/print.js';
import type { NetDeps } from '../deps.js';
import { DETACH_KEYS, parseDetachKeys } from '../detach-keys.js';
import { type CreateOptions, toRequest, withCreateOptions } from '../options/create-options.js';
import { removeIdFile, withIdFile } from '../options/id-file.js';
import { ownSize, runStream } from '../stream-terminal.js';

type RunOptions = CreateOptions & { detach?: boolean; detachKeys: string; sigProxy: boolean };

export function makeRunCommand(deps: NetDeps): Command {
  return withCreateOptions(new Command('run'))
    .description('create and start a container')
    .option('-d, --detach', 'run in the background, and print the container ID')
    .option(...DETACH_KEYS)
    .addOption(new Option('--sig-proxy').default(true).hideHelp())
    .option('--no-sig-proxy', 'do not pass signals to the container')
    .action((command: string[], options: RunOptions) => run(deps, command, options));
}

async function run({ stack, report }: NetDeps, command: string[], options: RunOptions): Promise<void> {
  report.runsProgram();
  parseDetachKeys(options.detachKeys);
  const request = toRequest(command, options);
  const containers = await stack.connect();
  const created = create(containers, request, options);
  if (!options.detach) containers.prepareStreams();
  const { id } = await created;
  const remove = async () => {
    await containers.remove(id, { force: true }).catch((error: unknown) => {
      printErrorLine(`the container ${shortId(id)} was not removed: ${errorText(error)}`);
    });
    removeIdFile(options.cidfile);
  };
  if (options.detach) {
    try {
      report.chosenPorts(await containers.start(id));
    } catch (error) {
      await remove();
      throw error;
    }
    return printLine(id);
  }
  const stream = await containers.attach(id, { start: true, size: ownSize() });
  try {
    const { detachKeys, tty = false, interactive = false, sigProxy } = options;
    const kill = (signal: NodeJS.Signals) => containers.kill(id, signal);
    process.exitCode = await runStream(stream, { tty, stdin: interactive, detachKeys, kill, signals: sigProxy });
  } catch (error) {
    // A container that could not be started is of no use.
    const current = await containers.inspect(id).catch(() => undefined);
    if (current?.started === undefined) await remove();
    throw error;
  }
}

export function makeCreateCommand({ stack }: NetDeps): Command {
  return withCreateOptions(new Command('create'))
    .description('create a container without starting it, and print its ID')
    .action(async (command: string[], options: CreateOptions) => {
      const request = toRequest(command, options);
      printLine((await create(await stack.connect(), request, options)).id);
    });
}

/** Throws UsageError if the file for the ID exists. */
function create(
  containers: ContainerClient,
  request: NewContainer,
  { cidfile }: CreateOptions,
): Promise<ContainerReport> {
  const undo = ({ id }: ContainerReport) => containers.remove(id, { force: true });
  return withIdFile(cidfile, () => containers.create(request), undo);
}

/**
 * rootless-net: containers and their networks on a running stack. Results go to stdout, everything else to stderr. Exit code
 * 0, or 1 after an `error: …` line; `run`, `start --attach` and `exec` exit with the code of the program. The subcommands are
 * in commands/.
 */
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { ContainerClient } from '../../parent/client/container-client.js';
import { OfflineContainers } from '../../parent/client/offline-containers.js';
import { UsageError } from '../../parent/errors.js';
import { containerDirectories } from '../../parent/state/user-directories.js';
import { VERSION } from '../../protocol/version.js';
import { throwUsageErrors } from '../common/failure.js';
import { wrapHelp } from '../common/help-text.js';
import { printErrorLine } from '../common/print.js';
import { COMPLETE, makeCompletionCommand, printCompletions } from '../completion/command.js';
import { ignoreEmptyOptions } from '../rootlesskit-compat/empty-options.js';
import { acceptDockerSpellings } from '../rootlesskit-compat/option-spellings.js';
import { findOrStartStack, findRunningStack, type WantedStack } from '../stack/stack-discovery.js';
import { makeContainerCommand, withoutGroup } from './commands/container-group.js';
import { makeLimitCommand } from './commands/egress/limit.js';
import { makeEgressCommand } from './commands/egress/policy.js';
import { refuseForeignCommands } from './commands/foreign-commands.js';
import { makeGcCommand, makeOciHookCommand } from './commands/housekeeping.js';
import {
  makeKillCommand,
  makeRenameCommand,
  makeRestartCommand,
  makeRmCommand,
  makeStartCommand,
  makeStopCommand,
} from './commands/lifecycle.js';
import { makeInspectCommand, makeLogsCommand, makePortCommand, makePsCommand } from './commands/list.js';
import { makeNetworkCommand } from './commands/network/command.js';
import { makeDnsCommand } from './commands/network/dns.js';
import { makeEventsCommand } from './commands/observe/events.js';
import { makeStatsCommand } from './commands/observe/stats.js';
import { makeTopCommand } from './commands/observe/top.js';
import { makeOverlayCommand } from './commands/overlay/command.js';
import { makeCreateCommand, makeRunCommand } from './commands/run.js';
import { makeAttachCommand, makeExecCommand, makeWaitCommand } from './commands/streams.js';
import { makeInfoCommand, makeVersionCommand } from './commands/system.js';
import type { NetDeps } from './deps.js';
import { Reporter } from './report.js';
import { makeStackAccess, type StackAccess } from './stack-access.js';

/** In the order of --help. */
const subcommands: readonly ((deps: NetDeps) => Command)[] = [
  makeRunCommand,
  makeCreateCommand,
  makeStartCommand,
  makeStopCommand,
  makeRestartCommand,
  makeKillCommand,
  makeRmCommand,
  makeRenameCommand,
  makePsCommand,
  makeInspectCommand,
  makePortCommand,
  makeLogsCommand,
  makeAttachCommand,
  makeWaitCommand,
  makeExecCommand,
  makeStatsCommand,
  makeTopCommand,
  makeEventsCommand,
  makeNetworkCommand,
  makeOverlayCommand,
  makeDnsCommand,
  makeEgressCommand,
  makeLimitCommand,
  makeGcCommand,
  makeOciHookCommand,
  makeContainerCommand,
  makeVersionCommand,
  makeInfoCommand,
];

/** The command line as commander knows it: also the source of the manual page. */
export function makeRootlessNetCommand(report = new Reporter()): Command {
  const program = new Command('rootless-net')
    .description('Containers and their networks, without root.')
    .addOption(
      new Option('--state-dir <path>', 'state directory of the stack (default: $XDG_RUNTIME_DIR/rootless-net)'),
    )
    .option('--stack <stack>', 'name, process ID or state directory of the stack, as listed by rootless-run ls')
    .option('--keep', 'if a stack has to be started, keep it running after its last container')
    .version(`rootless-net version ${VERSION}`, '-v, --version')
    .enablePositionalOptions();
  const deps = { stack: stackAccess(program), report };
  for (const make of subcommands) program.addCommand(make(deps));
  program.addCommand(makeCompletionCommand('rootless-net'));
  refuseForeignCommands(program);
  // These must not be ignored: it would leave a requested port unpublished, or a policy out.
  ignoreEmptyOptions(program, ['publish', 'expose', 'allow', 'deny', 'egress-file']);
  acceptDockerSpellings(program);
  return throwUsageErrors(wrapHelp(program));
}

function stackAccess(program: Command): StackAccess {
  /** Throws UsageError. */
  const wanted = (): WantedStack => {
    const { stateDir, ...others } = program.opts<WantedStack>();
    if (stateDir !== undefined && others.stack !== undefined) {
      throw new UsageError('--state-dir and --stack are mutually exclusive');
    }
    return { ...others, stateDir: stateDir && resolve(stateDir) };
  };
  // A command may read the files on disk more than once.
  const warned = new Set<string>();
  const warn = (line: string) => {
    if (warned.has(line)) return;
    warned.add(line);
    printErrorLine(`warning: ${line}`);
  };
  return makeStackAccess({
    findRunning: async () => findRunningStack(wanted()),
    findOrStart: async () => findOrStartStack(wanted()),
    makeClient: (socket) => new ContainerClient(socket),
    openOffline: () => new OfflineContainers({ ...containerDirectories(), warn }),
  });
}

/** Parses a command line, and runs its command. Throws what the command throws. */
export async function parseRootlessNet(program: Command, words: readonly string[]): Promise<void> {
  await program.parseAsync(withoutGroup(program, words), { from: 'user' });
}

/** Runs a command line, reports its error, if any, and sets the exit code; never throws. */
export async function runRootlessNet(words: readonly string[]): Promise<void> {
  const report = new Reporter();
  const program = makeRootlessNetCommand(report);
  try {
    if (words[0] === COMPLETE) await printCompletions(program, words.slice(1));
    else if (words.length === 0) program.outputHelp();
    else await parseRootlessNet(program, words);
  } catch (error) {
    report.error(error);
  }
}

/**
 * rootlessctl: client of a running stack, with the commands and outputs of RootlessKit's rootlessctl, plus `events`, `flows`,
 * `egress`, `limit` and `list-ports --counters`. Results go to stdout, everything else to stderr. Exit code 0; 1 after an `error: …`
 * line; 3 for an unknown command.
 */
import { Command, Option } from 'commander';
import type { StackClient } from '../../parent/client/stack-client.js';
import { UsageError } from '../../parent/errors.js';
import { EarlyExit, EXIT, failureOf, throwUsageErrors } from '../common/failure.js';
import { wrapHelp } from '../common/help-text.js';
import { printFailure, printJSON, printLine } from '../common/print.js';
import { COMPLETE, makeCompletionCommand, printCompletions } from '../completion/command.js';
import { ignoreEmptyOptions } from '../rootlesskit-compat/empty-options.js';
import { type LongOptions, normalizeGoFlags } from '../rootlesskit-compat/go-flags.js';
import { ROOTLESSKIT_VERSION } from '../rootlesskit-compat/rootlesskit-face.js';
import { type ConnectStack, connectToStack, type StackOptions, untilInterrupted } from './connection.js';
import { makeConnectionsCommand } from './connections.js';
import { makeEgressCommand } from './egress.js';
import { makeFlowsCommand } from './flows.js';
import { makeLimitCommand } from './limit.js';
import { makeAddPortsCommand, makeListPortsCommand, makeRemovePortsCommand } from './ports.js';
import { eventText, infoText } from './stack-text.js';
import { makeTopCommand } from './top/command.js';
import { makeTraceCommand } from './trace.js';

/** Exit code for an unknown command, also behind `help`. */
const UNKNOWN_COMMAND = 3;

class UnknownCommandError extends UsageError {
  override name = 'UnknownCommandError';
}

export interface CtlDeps {
  /** Throws UsageError and UserError. */
  connect(options: StackOptions): Promise<StackClient>;
}

/** The command line as commander knows it: also the source of the manual page. */
export function makeRootlessctlCommand({ connect }: CtlDeps = { connect: connectToStack }): Command {
  const program = new Command('rootlessctl')
    .description('API client of a running rootless-run')
    .option('--debug', 'print the stack trace of errors')
    .addOption(
      new Option(
        '--socket <path>',
        'path of api.sock (default: $ROOTLESSKIT_STATE_DIR/api.sock, else that of the default stack or of the only running stack)',
      ),
    )
    .option('--stack <stack>', 'name, process ID or state directory of the stack, as listed by rootless-run ls')
    .addOption(new Option('--name <name>', 'alias of --stack').hideHelp())
    .version(`rootlessctl version ${ROOTLESSKIT_VERSION}`, '-v, --version')
    // As RootlessKit does.
    .allowExcessArguments();
  const stack = () => connect(program.opts<StackOptions>());
  for (const make of [
    makeListPortsCommand,
    makeAddPortsCommand,
    makeRemovePortsCommand,
    makeInfoCommand,
    makeEventsCommand,
    makeFlowsCommand,
    makeConnectionsCommand,
    makeTopCommand,
    makeTraceCommand,
    makeEgressCommand,
    makeLimitCommand,
  ]) {
    program.addCommand(make(stack).allowExcessArguments());
  }
  program.addCommand(makeCompletionCommand('rootlessctl'));
  ignoreEmptyOptions(program);
  return throwUsageErrors(wrapHelp(program), (message, code) =>
    code === 'commander.unknownCommand' ? new UnknownCommandError(message) : new UsageError(message),
  );
}

function makeInfoCommand(stack: ConnectStack): Command {
  return new Command('info')
    .description('show the drivers and the state of the stack')
    .option('--json', 'as JSON')
    .action(async ({ json = false }: { json?: boolean }) => {
      const info = await (await stack()).info();
      if (json) printJSON(info, 4);
      else process.stdout.write(infoText(info));
    });
}

function makeEventsCommand(stack: ConnectStack): Command {
  return new Command('events')
    .description('follow changes of ports, connections and drivers until the stack ends')
    .option('--json', 'one JSON object per line')
    .option('--queries', 'with queries for names, 200 a second at most')
    .action(async ({ json = false, queries = false }: { json?: boolean; queries?: boolean }) => {
      const signal = untilInterrupted();
      for await (const event of (await stack()).events({ signal, queries })) {
        if (json) printJSON(event);
        else printLine(eventText(event));
      }
    });
}

/** Runs a command line, reports its error, if any, and sets the exit code; never throws. */
export async function runRootlessctl(args: readonly string[], program = makeRootlessctlCommand()): Promise<void> {
  try {
    if (args[0] === COMPLETE) return await printCompletions(program, args.slice(1));
    const words = normalizeGoFlags(args, longOptionsOf(program));
    if (words.length === 0) program.outputHelp();
    else await program.parseAsync(words, { from: 'user' });
  } catch (error) {
    reportError(error, program.opts<{ debug?: boolean }>().debug === true);
  }
}

/** Those of the command and its subcommands. */
function longOptionsOf(command: Command): LongOptions {
  const all = [command, ...command.commands, ...command.commands.flatMap(({ commands }) => commands)];
  const options = all.flatMap((one) => one.options);
  const names = (wanted: readonly Option[]) => wanted.map((option) => option.name());
  return {
    booleans: [...names(options.filter((option) => option.isBoolean())), 'help'],
    valued: names(options.filter((option) => !option.isBoolean())),
  };
}

/** Prints the error as one line, with --debug and its stack trace, and sets the exit code. */
function reportError(error: unknown, debug: boolean): void {
  const failure = failureOf(error, EXIT.failed);
  const [line, ...frames] =
    (debug && failure.line !== undefined && error instanceof Error && error.stack?.split('\n')) || [];
  printFailure(line === undefined ? failure : { ...failure, line, trace: frames.join('\n') });
  // The help of an unknown command ends early.
  const isUnknown = error instanceof UnknownCommandError || error instanceof EarlyExit;
  if (failure.exitCode !== 0) process.exitCode = isUnknown ? UNKNOWN_COMMAND : EXIT.failed;
}

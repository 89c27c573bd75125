/**
 * rootless-run under either of its names: parse, start the stack, pass signals on, end as the command does.
 */
import { NativeMissingError } from '../native/index.js';
import { APISocketError } from '../parent/api/socket.js';
import { CommandError, UsageError, UserError } from '../parent/errors.js';
import { log, setLinePrefix } from '../parent/log.js';
import { PortError } from '../parent/port/errors.js';
import { Stack } from '../parent/stack.js';
import { PortSpecError } from '../protocol/port-spec.js';
import { type Dialect, ENDED_BY_SIGNAL } from './dialect.js';
import { setProcessName } from './process-name.js';
import { Answered, makeCommand, parseCommandLine, UnknownOptionError } from './run-options.js';
import { signalName } from './signal-text.js';
import { endsStart, takeSignals } from './signals.js';

/** Runs to the end of the command, and never throws; resolves with the exit code. */
export async function runProgram(dialect: Dialect, args: readonly string[]): Promise<number> {
  setLinePrefix(dialect.linePrefix);
  setProcessName(dialect.name);
  try {
    return await run(dialect, args);
  } catch (error) {
    return explain(error, dialect);
  }
}

async function run(dialect: Dialect, args: readonly string[]): Promise<number> {
  const { options, debug, warnings } = parseCommandLine(args, dialect);
  if (debug) log.setLevel('debug');
  checkWorkingDirectory();
  for (const warning of warnings) log.warn(warning);

  let stack: Stack | undefined;
  const abort = new AbortController();
  const early: number[] = [];
  takeSignals(async (number) => {
    if (stack) {
      await stack.signal(number);
    } else if (endsStart(number)) {
      early.push(number);
      abort.abort(new UserError(`ended by ${signalName(number)} while starting`, ENDED_BY_SIGNAL));
    }
  });

  stack = await Stack.start(options, log, abort.signal);
  try {
    // They came too late to end the start: the command runs, and they are for it.
    for (const number of early) void stack.signal(number);
    const result = await stack.wait();
    if (!result) {
      log.error('the namespaces were ended from outside');
      return ENDED_BY_SIGNAL;
    }
    if ('code' in result && result.code === 0) return 0;
    for (const line of dialect.describeEnd(options.command ?? [], result)) process.stderr.write(`${line}\n`);
    return 'code' in result ? result.code : ENDED_BY_SIGNAL;
  } finally {
    await stack.close();
  }
}

/** Throws UsageError. Relative paths, and programs that are started, need it. */
export function checkWorkingDirectory(): void {
  try {
    process.cwd();
  } catch {
    throw new UsageError('the working directory does not exist any more; change to another one');
  }
}

/** Shows the error as its one line, and returns the exit code that goes with it. */
export function explain(error: unknown, dialect: Dialect): number {
  if (error instanceof Answered) return 0;
  if (error instanceof UnknownOptionError && dialect.name === 'rootlesskit') {
    process.stdout.write(`Incorrect Usage. ${error.message}\n\n${makeCommand(dialect).helpInformation()}`);
  }
  const known =
    error instanceof UserError ||
    error instanceof PortError ||
    error instanceof PortSpecError ||
    error instanceof APISocketError ||
    error instanceof NativeMissingError;
  const text = error instanceof Error ? error.message : String(error);
  log.error(known ? text : `internal error: ${text}; please report it, with the output of --debug`);
  if (!known && error instanceof Error) log.debug(error.stack);
  if (error instanceof CommandError) return dialect.notExecuted(error.exitCode);
  return error instanceof UserError ? error.exitCode : 1;
}

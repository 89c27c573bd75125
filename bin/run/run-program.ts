/**
 * rootless-run under either of its names: parses the command line, starts the stack, forwards signals, and exits with the
 * command's exit code.
 */
import { constants } from 'node:os';
import { ExpectedError, UsageError } from '../../parent/errors.js';
import { log, setJSONLines, setLineFormat, setLinePrefix } from '../../parent/log/log.js';
import { standardError } from '../../parent/log/standard-error.js';
import { confineThisProcess } from '../../parent/namespaces/confine.js';
import { LauncherEndedError } from '../../parent/namespaces/launcher.js';
import type { Stack } from '../../parent/stack/stack.js';
import { startStack } from '../../parent/stack/start.js';
import { getCaller } from '../common/caller.js';
import { EarlyExit, failureOf } from '../common/failure.js';
import { setProcessName } from '../common/process-name.js';
import { outputWritten, writeOutput } from '../common/standard-output.js';
import { withProgress } from '../stack/progress.js';
import type { Dialect } from './dialect.js';
import { makeRunCommand } from './options/command.js';
import { parseCommandLine } from './options/parse.js';
import { IncorrectUsageError, type LogRequest } from './options/values.js';
import { endsStart, forwardSignals } from './signals.js';

/** A signal arrived before the command was started. */
class StartEndedError extends ExpectedError {
  override name = 'StartEndedError';
  constructor(readonly signal: number) {
    super(`terminated by signal ${signal} while starting`);
  }
}

/** Runs the command until it exits. Resolves with the exit code; never rejects. */
export async function runProgram(dialect: Dialect, args: readonly string[]): Promise<number> {
  if (dialect.lineFormat) setLineFormat(dialect.lineFormat);
  else setLinePrefix(dialect.linePrefix);
  setProcessName(dialect.name);
  try {
    return await run(dialect, args);
  } catch (error) {
    if (error instanceof EarlyExit) await outputWritten();
    return reportFailure(error, dialect);
  }
}

async function run(dialect: Dialect, args: readonly string[]): Promise<number> {
  const { options, log: logRequest, warnings } = parseCommandLine(args, dialect);
  setUpLog(logRequest);
  checkWorkingDirectory();
  for (const warning of warnings) log.warn(warning);

  let stack: Stack | undefined;
  const abort = new AbortController();
  const early: number[] = [];
  const { ignoredSignals, launcher } = getCaller();
  forwardSignals(ignoredSignals, async (number) => {
    if (stack) {
      await stack.signal(number);
    } else if (endsStart(number)) {
      early.push(number);
      abort.abort(new StartEndedError(number));
    }
  });

  const starting = startStack({ ...options, ...(launcher && { launcher }) }, log, abort.signal);
  const { level, json } = logRequest;
  const isQuiet = json || ['warn', 'error'].includes(level) || dialect.name === 'rootlesskit';
  stack = await (isQuiet ? starting : withProgress(`rootless-run: starting with --net=${options.net}`, starting));
  try {
    confineThisProcess((line) => log.debug(line));
    // Too late to abort the start: the command is running, and gets them.
    for (const number of early) void stack.signal(number);
    const result = await stack.wait();
    if (!result) {
      log.error(new LauncherEndedError().message);
      return dialect.endedBySignal(constants.signals.SIGKILL);
    }
    if ('code' in result && result.code === 0) return 0;
    for (const line of dialect.describeEnd(options.command ?? [], result)) standardError().write(`${line}\n`);
    return 'code' in result ? result.code : dialect.endedBySignal(result.signal);
  } finally {
    await stack.close();
  }
}

export function setUpLog({ level, json }: LogRequest): void {
  if (level !== 'info') log.setLevel(level);
  if (json) setJSONLines();
}

/** Relative paths and programs that are started need a working directory. Throws UsageError if it does not exist. */
export function checkWorkingDirectory(): void {
  try {
    process.cwd();
  } catch {
    throw new UsageError('the working directory no longer exists; change to another one');
  }
}

/** Logs the error as one line, and returns its exit code; `failed` where it has none of its own. */
export function reportFailure(error: unknown, dialect: Dialect, failed = dialect.failed): number {
  if (error instanceof StartEndedError) {
    const text = dialect.describeEndOfStart(error.signal);
    if (text !== undefined) log.error(text);
    return dialect.endedBySignal(error.signal);
  }
  if (error instanceof IncorrectUsageError && dialect.name === 'rootlesskit') {
    writeOutput(`Incorrect Usage. ${error.message}\n\n${makeRunCommand(dialect).helpInformation()}`);
  }
  const { line, trace, exitCode } = failureOf(error, failed);
  if (line !== undefined) log.error(line);
  if (trace !== undefined) log.debug(trace);
  return dialect.name === 'rootlesskit' && exitCode !== 0 ? dialect.failed : exitCode;
}

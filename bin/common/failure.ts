/**
 * How a command fails: the only place where an error becomes a line and an exit code, and where commander's errors are
 * handled. RootlessKit's programs have exit codes and forms of their own, see run/dialect.ts and ctl/command.ts.
 */
import type { Command, CommanderError } from 'commander';
import { ExpectedError, errorText, fileErrorOf, UsageError } from '../../parent/errors.js';
import { EXIT } from '../../protocol/errors/exit-codes.js';

export { EXIT };

/** The exit code of a program that a signal terminated. */
export function signalExitCode(number: number): number {
  return 128 + number;
}

/** Everything has been printed, such as help or a version that was requested: the program ends. */
export class EarlyExit extends Error {
  override name = 'EarlyExit';
  constructor(readonly exitCode = 0) {
    super(`ended early, with exit code ${exitCode}`);
  }
}

/** What a command reports of an error. */
export interface Failure {
  exitCode: number;
  /** Without "error: "; undefined if everything has been printed. */
  line?: string;
  /** Stack trace of an unexpected error, which is a defect of this package. */
  trace?: string;
}

/** @param failed exit code of an error without its own: EXIT.failed, or EXIT.notStarted for a command that runs a program */
export function failureOf(error: unknown, failed: number): Failure {
  if (error instanceof EarlyExit) return { exitCode: error.exitCode };
  if (error instanceof ExpectedError) return { exitCode: error.exitCode ?? failed, line: errorText(error) };
  if (fileErrorOf(error) !== undefined) return { exitCode: failed, line: errorText(error) };
  const text = error instanceof Error ? error.message : String(error);
  const line = `internal error: ${text}; please report it, with the output of --debug`;
  return { exitCode: failed, line, ...(error instanceof Error && error.stack && { trace: error.stack }) };
}

/** Makes the error for an invalid command line from commander's message and code. */
export type UsageErrorMaker = (message: string, code: string, command: Command) => Error;

/** In one line, with the command whose --help shows more. */
export const usageError: UsageErrorMaker = (message, _code, command) =>
  new UsageError(message, { hint: `${pathOf(command)} --help` });

/**
 * Makes a command and its subcommands throw UsageError for an invalid command line, and EarlyExit after --help or --version,
 * instead of printing a message and exiting.
 */
export function throwUsageErrors(command: Command, make: UsageErrorMaker = usageError): Command {
  command.configureOutput({ outputError: () => {} }).exitOverride((error) => {
    if (error.exitCode === 0) throw new EarlyExit();
    // Help for an unknown command, which is printed to standard error.
    if (error.code === 'commander.help') throw new EarlyExit(EXIT.notStarted);
    throw make(messageOf(error), error.code, command);
  });
  for (const subcommand of command.commands) throwUsageErrors(subcommand, make);
  return command;
}

/** "error: unknown option '--foo'\n(Did you mean --bar?)" in one line. */
function messageOf({ message }: CommanderError): string {
  return message
    .replace(/^error: /, '')
    .replace(/\.$/, '')
    .split('\n')
    .join(' ');
}

/** The name of a command behind those of its parents. */
export function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}

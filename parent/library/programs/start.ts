/** Starts programs as callers describe them. What is wrong with that is a failure of the program, as one that does not exist. */
import type { ProgramSource } from '../../namespaces/piped-program.js';
import { anyText, type Checks, checkFields, checkValue, words } from '../checks.js';
import { notStarted, type ProgramOptions } from './options.js';
import { failedSource, RunningProgram } from './program.js';

export interface WantedProgram<T extends ProgramOptions> {
  command: string;
  args: readonly string[];
  options: T;
  checks: Checks<T>;
}

/** @param open starts it; `command` is the program and its arguments */
export function startProgram<T extends ProgramOptions>(
  { command, args, options, checks }: WantedProgram<T>,
  open: (command: readonly string[]) => ProgramSource,
): RunningProgram {
  try {
    checkValue(command, anyText, { field: 'command' });
    checkValue(args, words, { field: 'args' });
    checkFields(options, checks);
    const all = [command, ...args];
    const { cancelSignal, reject = true } = options;
    if (!cancelSignal?.aborted) return new RunningProgram(open(all), all, options);
    const canceled = notStarted(all, { canceled: true }, cancelSignal.reason);
    return new RunningProgram(failedSource(canceled), all, { reject });
  } catch (error) {
    return new RunningProgram(failedSource(error), [String(command)]);
  }
}

/**
 * Why an OCI runtime did not start a program in a container. Runtimes report it only as a line of text, each in its own form;
 * those of runc and crun are recognized here, and become an error that names the program.
 */
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import type { CommandFailure } from '../../../../protocol/errors/expected-error.js';
import { ContainerError } from '../../errors.js';

/** The program does not exist in the container, or cannot be executed there. */
export class ContainerCommandError extends ContainerError {
  override name = 'ContainerCommandError';
  constructor(
    override readonly code: CommandFailure,
    message: string,
    hint?: string,
  ) {
    super(message, 400, { hint });
  }
}

/** Reasons as runtimes write them: those of strerror(3) or of Go's os/exec. */
const REASONS: readonly (readonly [RegExp, CommandFailure, string])[] = [
  [/no such file or directory|not found/i, 'command-not-found', ''],
  [/permission denied|operation not permitted|is a directory/i, 'command-not-executable', 'permission denied'],
  [/not a directory/i, 'command-not-executable', 'a part of its path is not a directory'],
  [
    /exec format error/i,
    'command-not-executable',
    'it is neither a binary for this machine nor a script that begins with #!',
  ],
  [/argument list too long/i, 'command-not-executable', 'its arguments are too long'],
];

/** How runc (`exec: "NAME": REASON`) and crun begin messages about the program. */
const ABOUT_PROGRAM =
  /\bexec:? (?:"(?:[^"\\]|\\.)*"|\/\S+): (.*)|(executable file `.*|open executable: .*|exec container process.*)/;

/**
 * @param line the runtime's error message
 * @param program the first word of the command
 * @returns undefined if it is not the execution of the program that failed
 */
export function commandFailure(line: string, program: string): ContainerCommandError | undefined {
  // Hooks are executed, too, and are not the program.
  const [, ofRunc, ofCrun] = (/\bhook\b/.test(line) ? undefined : ABOUT_PROGRAM.exec(line)) ?? [];
  const about = ofRunc ?? ofCrun;
  return about === undefined ? undefined : failureFor(about, program);
}

/** @param number the errno of execve(2) */
export function executionFailure(number: number, program: string): ContainerCommandError {
  const { ENOENT, ENOEXEC, ENOTDIR, E2BIG } = constants.errno;
  const reasons: Record<number, string> = {
    [ENOENT]: 'no such file or directory',
    [ENOEXEC]: 'exec format error',
    [ENOTDIR]: 'not a directory',
    [E2BIG]: 'argument list too long',
  };
  const reason = reasons[number] ?? getSystemErrorMap().get(-number)?.[1] ?? `error ${number}`;
  return failureFor(reason, program) ?? cannotExecute(program, reason);
}

function failureFor(about: string, program: string): ContainerCommandError | undefined {
  // Some runtimes resolve an empty name to a directory of PATH.
  const reason = program === '' ? 'not found' : about;
  const found = REASONS.find(([pattern]) => pattern.test(reason));
  if (!found) return undefined;
  const [, kind, why] = found;
  if (kind === 'command-not-found') {
    const where = program.includes('/') ? 'check its path inside the container' : 'check its name, and PATH inside';
    return new ContainerCommandError(kind, `command not found in the container: ${shown(program)}`, where);
  }
  return cannotExecute(program, why);
}

function cannotExecute(program: string, why: string): ContainerCommandError {
  const hint = why === 'permission denied' ? 'it has to be an executable file (chmod +x)' : undefined;
  return new ContainerCommandError(
    'command-not-executable',
    `cannot execute ${shown(program)} in the container: ${why}`,
    hint,
  );
}

function shown(program: string): string {
  return program === '' ? '""' : program;
}

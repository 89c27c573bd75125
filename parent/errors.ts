export { errorCode, errorText } from '../protocol/error-text.js';

/**
 * A failure that the user can cause or mend. The message is one complete line: what failed, with which value, and what
 * to do about it. Everything else that is thrown is a defect of ours.
 */
export class UserError extends Error {
  override name = 'UserError';
  constructor(
    message: string,
    /** Exit code of the program that fails with it. */
    readonly exitCode = 1,
  ) {
    super(message);
  }
}

/** The command line is wrong. */
export class UsageError extends UserError {
  override name = 'UsageError';
}

/** What is wrong with the machine, and the command that mends it, where there is one. */
export interface Problem {
  what: string;
  fix?: string;
}

/** In one line. */
export function problemText({ what, fix }: Problem): string {
  return fix === undefined ? what : `${what}; to mend it: ${fix}`;
}

/** The namespaces cannot be made or set up on this machine, or for this user. */
export class NamespaceError extends UserError {
  override name = 'NamespaceError';
  constructor(
    message: string,
    /** What it comes from, where that is known. */
    readonly problem?: Problem,
  ) {
    super(message);
  }
}

/** The command cannot be executed: 127 where it is not found, 126 where it is but cannot be run, as shells have it. */
export class CommandError extends UserError {
  override name = 'CommandError';
}

/** The state directory cannot be used. */
export class StateDirError extends UserError {
  override name = 'StateDirError';
}

/** The network driver cannot be used, or failed. */
export class NetworkError extends UserError {
  override name = 'NetworkError';
}

/** Longest text of somebody else's that is shown in a line. */
const MAX_FOREIGN = 500;

/** Text of somebody else's as part of a line: without line breaks and control characters, and not without end. */
export function printable(text: string): string {
  const plain = text.replaceAll(/[\s\p{Cc}]+/gu, ' ').trim();
  return plain.length > MAX_FOREIGN ? `${plain.slice(0, MAX_FOREIGN)}…` : plain;
}

/** The agent does not run containers. */
export class ContainersError extends UserError {
  override name = 'ContainersError';
}

/**
 * The base of all our error classes: failures that the user can cause or fix. Any other error is a defect.
 */
import { EXIT_BY_CODE } from './exit-codes.js';

export interface ErrorDetails extends ErrorOptions {
  /** What the user can do; shown after "hint: ". */
  hint?: string | undefined;
}

/** HTTP status codes of our error responses (RFC 9110, section 15). */
export type HTTPStatus = 400 | 403 | 404 | 409 | 413 | 426 | 500 | 503 | 507;

export class ExpectedError extends Error {
  override name = 'ExpectedError';
  /** Stable identifier for programs, such as `no-such-container`. */
  readonly code: string = 'failed';
  /** HTTP status of a response with this error; for an error that an API reported, that of its response. */
  readonly httpStatus: number = 500;
  readonly hint: string | undefined;

  /** @param message what failed, in one line and in the user's words: the flag, the name, the port */
  constructor(message: string, { hint, ...options }: ErrorDetails = {}) {
    super(message, options);
    this.hint = hint;
  }

  /** Exit code of a command with this error; undefined if it depends on the command (EXIT.failed or EXIT.notStarted). */
  get exitCode(): number | undefined {
    return EXIT_BY_CODE[this.code];
  }
}

/** Codes for a program that does not exist, or cannot be executed. */
export type CommandFailure = 'command-not-found' | 'command-not-executable';

/** The message with its hint, in one line. */
export function withHint(message: string, hint: string | undefined): string {
  return hint === undefined ? message : `${message}; hint: ${hint}`;
}

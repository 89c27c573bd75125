/** Errors that the clients of the API throw. */
import { type ErrorDetails, ExpectedError } from '../../protocol/errors/expected-error.js';

/** The stack refused a request. The message is the stack's own. */
export class APIError extends ExpectedError {
  override name = 'APIError';
  override readonly code: string;
  /** Path of the value in the request that is wrong; the message begins with it, and a colon. */
  readonly field: string | undefined;
  constructor(
    /** HTTP status of the answer. */
    override readonly httpStatus: number,
    message: string,
    {
      code = 'refused',
      field,
      ...details
    }: ErrorDetails & { code?: string | undefined; field?: string | undefined } = {},
  ) {
    super(message, details);
    this.code = code;
    this.field = field;
  }
}

/** Whether the error is that nothing has the name. */
export function isMissing(error: unknown): error is APIError {
  return error instanceof APIError && error.httpStatus === 404;
}

/** No stack answers on the socket. The message names the path and what to do. */
export class StackUnreachableError extends ExpectedError {
  override name = 'StackUnreachableError';
  override readonly code: string = 'no-stack';
  /** @param errno such as ENOENT or ECONNRESET */
  constructor(
    readonly socketPath: string,
    readonly errno: string,
    options?: ErrorOptions,
  ) {
    super(unreachable(socketPath, errno), options);
  }
}

/** The event stream ended though the stack has not closed it. */
export class EventStreamError extends ExpectedError {
  override name = 'EventStreamError';
  override readonly code: string = 'stream-cut-off';
  constructor(
    /** Close code of RFC 6455; 1006 where there was none. */
    readonly closeCode: number,
    reason: string,
  ) {
    super(
      `event stream was cut off: ${reason || (closeCode === 1006 ? 'the stack was killed' : `close code ${closeCode}`)}`,
    );
  }
}

function unreachable(socketPath: string, code: string): string {
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return `no stack at ${socketPath}: no such socket; is the stack running, and is this its state directory?`;
    case 'ECONNREFUSED':
      return `no stack at ${socketPath}: no process listens there; the stack has ended, or this is not its api.sock`;
    case 'EACCES':
    case 'EPERM':
      return `no access to the stack at ${socketPath}: permission denied; run this as the user who started it`;
    case 'ETIMEDOUT':
      return `the stack at ${socketPath} does not answer; hint: check whether its process is stopped (state T in ps), or end it`;
    default:
      return `the stack at ${socketPath} did not answer (${code}); has it just ended?`;
  }
}

/** Errno of a failed connection; else its message. */
export function codeOf(error: Error): string {
  return 'code' in error ? String(error.code) : error.message;
}

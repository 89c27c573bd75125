import {
  type CommandFailure,
  type ErrorDetails,
  ExpectedError,
  type HTTPStatus,
  withHint,
} from '../protocol/errors/expected-error.js';

export { errnoName, errorText, reasonText } from '../protocol/errors/error-text.js';
export { type ErrorDetails, ExpectedError } from '../protocol/errors/expected-error.js';
export { FileError, fileErrorOf, onFile } from '../protocol/errors/file-error.js';
export { printable } from '../protocol/text/printable-text.js';

/** A failure of the stack or of a command that the user can cause or fix. */
export class UserError extends ExpectedError {
  override name = 'UserError';
  override readonly httpStatus: HTTPStatus = 503;
}

/** The command line is wrong. */
export class UsageError extends UserError {
  override name = 'UsageError';
  override readonly code: string = 'usage';
}

/** A problem of the machine, and the command that fixes it, where there is one. */
export interface Problem {
  what: string;
  fix?: string;
}

/** The problem and its fix in one line. */
export function problemText({ what, fix }: Problem): string {
  return withHint(what, fix);
}

/** The namespaces cannot be made or set up on this machine, or for this user. */
export class NamespaceError extends UserError {
  override name = 'NamespaceError';
  override readonly code = 'namespaces';
  constructor(
    message: string,
    /** Its cause, where that is known. */
    readonly problem?: Problem,
  ) {
    super(message);
  }
}

/** The command cannot be executed. */
export class CommandError extends UserError {
  override name = 'CommandError';
  constructor(
    override readonly code: CommandFailure,
    message: string,
    details?: ErrorDetails,
  ) {
    super(message, details);
  }
}

/** The state directory cannot be used. */
export class StateDirError extends UserError {
  override name = 'StateDirError';
  override readonly code: string = 'state-dir';
}

/** Another stack runs with that state directory. */
export class StateDirLockedError extends StateDirError {
  override name = 'StateDirLockedError';
  override readonly code = 'locked';
}

/** The network driver cannot be used, or failed. */
export class NetworkError extends UserError {
  override name = 'NetworkError';
  override readonly code = 'network';
}

/** The agent in the child's namespaces cannot be started. */
export class AgentError extends ExpectedError {
  override name = 'AgentError';
  override readonly code = 'agent';
  override readonly httpStatus = 400;
}

/** The agent does not run containers. */
export class ContainersError extends UserError {
  override name = 'ContainersError';
  override readonly code = 'no-containers';
  constructor(
    message: string,
    /** Whether it is already in the log, or need not be. */
    readonly logged = false,
  ) {
    super(message);
  }
}

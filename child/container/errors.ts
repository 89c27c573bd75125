import { type ErrorDetails, ExpectedError, type HTTPStatus } from '../../protocol/errors/expected-error.js';

/** What a request about containers can fail with. Messages are one line. */
export class ContainerError extends ExpectedError {
  override name = 'ContainerError';
  override readonly code: string = 'container';
  constructor(
    message: string,
    override readonly httpStatus: HTTPStatus = 400,
    details?: ErrorDetails,
  ) {
    super(message, details);
  }
}

/** No container has that name or id. */
export class NoSuchContainerError extends ContainerError {
  override name = 'NoSuchContainerError';
  override readonly code = 'no-such-container';
  constructor(name: string) {
    super(`no such container: ${name}`, 404);
  }
}

/** No network has that name or id. */
export class NoSuchNetworkError extends ContainerError {
  override name = 'NoSuchNetworkError';
  override readonly code = 'no-such-network';
  /** @param why a reason, such as what is wrong with its file */
  constructor(name: string, why = 'rootless-net network ls shows them') {
    super(`no such network: ${name}; ${why}`, 404);
  }
}

/** The request conflicts with the current state. */
export class ConflictError extends ContainerError {
  override name = 'ConflictError';
  override readonly code: string = 'conflict';
  constructor(message: string, details?: ErrorDetails) {
    super(message, 409, details);
  }
}

/** A program that is needed failed, or is not installed. */
export class ProgramError extends ContainerError {
  override name = 'ProgramError';
  override readonly code: string = 'program';
  constructor(message: string, details?: ErrorDetails) {
    super(message, 500, details);
  }
}

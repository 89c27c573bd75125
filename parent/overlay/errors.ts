import { type ErrorDetails, ExpectedError, type HTTPStatus } from '../../protocol/errors/expected-error.js';

/** What a request about overlay networks can fail with. */
export class OverlayError extends ExpectedError {
  override name = 'OverlayError';
  override readonly code: string = 'overlay';
  constructor(
    message: string,
    details?: ErrorDetails,
    override readonly httpStatus: HTTPStatus = 409,
  ) {
    super(message, details);
  }
}

/** This host is a member of no overlay network of that name. */
export class NoSuchOverlayError extends OverlayError {
  override name = 'NoSuchOverlayError';
  override readonly code = 'no-such-overlay';
  constructor(name: string) {
    super(`no such overlay network: ${name}`, { hint: 'rootless-net overlay ls shows them' }, 404);
  }
}

/** A request has a value that is not valid. */
export class OverlayRequestError extends OverlayError {
  override name = 'OverlayRequestError';
  constructor(
    message: string,
    /** Path of the value, such as `etcd.prefix`; the message begins with it and a colon. */
    readonly field: string | undefined,
  ) {
    super(message, {}, 400);
  }
}

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

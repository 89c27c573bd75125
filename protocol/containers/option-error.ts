import { ExpectedError } from '../errors/expected-error.js';

/** An invalid option of a container; the message names the value. */
export class ContainerOptionError extends ExpectedError {
  override name = 'ContainerOptionError';
  override readonly code: string = 'invalid';
  override readonly httpStatus = 400;
}

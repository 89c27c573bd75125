import { type ErrorDetails, ExpectedError } from '../errors/expected-error.js';

/** A tunnel cannot be set up as requested. The message is one line and complete. */
export class WireGuardError extends ExpectedError {
  override name = 'WireGuardError';
  override readonly code = 'wireguard';
  /** Name of the errno with which wireguard-go refused a request, such as EADDRINUSE; undefined for any other failure. */
  readonly errno: string | undefined;

  constructor(message: string, { errno, ...details }: ErrorDetails & { errno?: string } = {}) {
    super(message, details);
    this.errno = errno;
  }
}

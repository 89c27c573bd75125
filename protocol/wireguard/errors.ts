import { ExpectedError } from '../errors/expected-error.js';

/** A tunnel cannot be set up as requested. The message is one line and complete. */
export class WireGuardError extends ExpectedError {
  override name = 'WireGuardError';
  override readonly code = 'wireguard';
}

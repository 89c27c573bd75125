import { UserError } from '../errors.js';

/** An option of createNamespace() is invalid. */
export class OptionError extends UserError {
  override name = 'OptionError';
  override readonly code = 'invalid-option';
  constructor(
    message: string,
    /** Name of the option. */
    readonly field: string,
  ) {
    super(message);
  }
}

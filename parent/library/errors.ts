import { isMissing, StackUnreachableError } from '../client/errors.js';
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

/** Resolves when it is removed: also where its stack has ended, or it was removed by another client. */
export async function removed(removing: Promise<void>, isGone: (error: unknown) => boolean = isMissing): Promise<void> {
  try {
    await removing;
  } catch (error) {
    if (!(error instanceof StackUnreachableError) && !isGone(error)) throw error;
  }
}

import { isMissing, StackUnreachableError } from '../client/errors.js';
import { UserError } from '../errors.js';

/** An option, or another argument of a method, is unknown or invalid. */
export class OptionError extends UserError {
  override name = 'OptionError';
  override readonly code = 'invalid-option';
  constructor(
    message: string,
    /** Its name; with a dot where it is in another one. */
    readonly field: string,
  ) {
    super(message);
  }
}

/** The namespace, or the connection to a stack, has been closed: nothing more is made through it. */
export class ClosedError extends UserError {
  override name = 'ClosedError';
  override readonly code = 'closed';
  constructor() {
    super('the namespace, or the connection to the stack, has been closed');
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

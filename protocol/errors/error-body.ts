/** The body of an error response: RootlessKit's clients read `message`; the other fields are additions. */

import { MAX_LINE, printable } from '../text/printable-text.js';
import { errorText } from './error-text.js';
import { ExpectedError } from './expected-error.js';
import { fileErrorOf } from './file-error.js';

export interface ErrorBody {
  /** In one line, without the hint. */
  message: string;
  /** The error's code: a word that stays when the message changes. */
  code: string;
  /** What the user can do. */
  hint?: string;
  /** Path of the value in the request that is wrong, such as `dns.0`; the message begins with it, and a colon. */
  field?: string;
}

/** Body for any error; the code of an unexpected one is `internal`. */
export function errorBody(error: unknown): ErrorBody {
  // The file error counts if it is the cause of one of our errors.
  const expected = error instanceof ExpectedError ? error : fileErrorOf(error);
  if (!expected) return { message: `internal error: ${printable(errorText(error), MAX_LINE)}`, code: 'internal' };
  const { message, code, hint } = expected;
  const field = 'field' in expected && typeof expected.field === 'string' ? expected.field : undefined;
  return {
    message: printable(message, MAX_LINE),
    code,
    ...(hint !== undefined && { hint: printable(hint, MAX_LINE) }),
    ...(field !== undefined && { field: printable(field, MAX_LINE) }),
  };
}

/** HTTP status of the answer to a request that failed with that error. A file that could not be used decides. */
export function httpStatusOf(error: unknown): number {
  return fileErrorOf(error)?.httpStatus ?? (error instanceof ExpectedError ? error.httpStatus : 500);
}

/** Validates an error body, which may come from inside the namespaces; undefined if it is not one. */
export function parseErrorBody(value: unknown): (Partial<ErrorBody> & { message: string }) | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { message, code, hint, field }: { message?: unknown; code?: unknown; hint?: unknown; field?: unknown } = value;
  if (typeof message !== 'string') return undefined;
  return {
    message: printable(message, MAX_LINE),
    ...(typeof code === 'string' && { code: printable(code) }),
    ...(typeof hint === 'string' && { hint: printable(hint, MAX_LINE) }),
    ...(typeof field === 'string' && { field: printable(field, MAX_LINE) }),
  };
}

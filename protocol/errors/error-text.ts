import { ExpectedError, withHint } from './expected-error.js';
import { fileErrorOf } from './file-error.js';

/** Name of the errno (ENOENT …) of a system error, or of our own errors that report one; "" for anything else. */
export function errnoName(error: unknown): string {
  if (error instanceof ExpectedError) return 'errno' in error && typeof error.errno === 'string' ? error.errno : '';
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** First line of an error's message; file errors of the system get our text. */
export function errorText(error: unknown): string {
  const text = error instanceof Error ? messageOf(error) : String(error);
  return text.split('\n')[0] ?? '';
}

/** An error's message with its hint; file errors of the system get our text. */
export function messageOf(error: Error): string {
  if (error instanceof ExpectedError) return withHint(error.message, error.hint);
  // An error that has one as its cause has its own text.
  return 'code' in error ? (fileErrorOf(error)?.message ?? error.message) : error.message;
}

/** Why a file operation failed, without the path. */
export function reasonText(error: unknown): string {
  return fileErrorOf(error)?.reason ?? errorText(error);
}

/** The same after the errno's name, if there is one: container runtimes and their users search for that. */
export function codedReasonText(error: unknown): string {
  const code = errnoName(error);
  return code === '' ? errorText(error) : `${code}: ${reasonText(error)}`;
}

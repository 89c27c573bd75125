import { errnoName, reasonText } from '../../parent/errors.js';
import { standardError } from '../../parent/log/standard-error.js';

let handled = false;

/** Makes a failure to write to standard output end the program: with one line, or silently if the reader is gone. */
export function handleOutputErrors(): void {
  if (handled) return;
  handled = true;
  process.stdout.on('error', (error) => {
    // A reader that has ended, such as `head`, is not an error.
    if (errnoName(error) === 'EPIPE') process.exit(0);
    standardError().write(`error: cannot write to standard output: ${reasonText(error)}\n`);
    process.exit(1);
  });
}

/** Resolves when a failure to write the output so far would have ended the program. */
export function outputWritten(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Prints requested output in a program that may not use its standard output otherwise. */
export function writeOutput(text: string): void {
  handleOutputErrors();
  process.stdout.write(text);
}

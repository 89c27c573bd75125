/** What is waited for, on a terminal, where it takes more than a second. */
import { standardError } from '../../parent/log/standard-error.js';

const INTERVAL_MS = 1_000;

/** The rest of the line is cleared, and the cursor is where the next line begins. */
const CLEAR = '\x1b[K\r';

/**
 * Shows the words with the seconds that have passed, until the task is done. Standard error is looked at only then: opening it
 * takes Node some milliseconds.
 */
export async function withProgress<T>(what: string, task: Promise<T>): Promise<T> {
  const begin = performance.now();
  let isShown = false;
  const timer = setInterval(() => {
    const output = standardError();
    if (!output.isTTY || process.env.TERM === 'dumb') {
      clearInterval(timer);
      return;
    }
    isShown = true;
    output.write(`${what} … ${Math.round((performance.now() - begin) / 1000)} s${CLEAR}`);
  }, INTERVAL_MS).unref();
  try {
    return await task;
  } finally {
    clearInterval(timer);
    if (isShown) standardError().write(CLEAR);
  }
}

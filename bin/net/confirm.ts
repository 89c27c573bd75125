import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** Asks a question on the terminal. Without a terminal it resolves with true at once, so that scripts do not block. */
export async function confirm(question: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return true;
  process.stderr.write(`${question} [y/N] `);
  const lines = createInterface({ input: process.stdin });
  const answer = await Promise.race([
    once(lines, 'line').then(([line]) => String(line)),
    once(lines, 'close').then(() => ''),
  ]);
  lines.close();
  return /^y(es)?$/i.test(answer.trim());
}

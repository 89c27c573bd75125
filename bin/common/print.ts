/** Output of the commands. Names, addresses and errors in it may come from inside the namespaces, and are sanitised. */
import { painted } from '../../parent/log/colours.js';
import { standardError } from '../../parent/log/standard-error.js';
import { MAX_LINE, printable, printableJSON } from '../../protocol/text/printable-text.js';
import type { Failure } from './failure.js';

const MAX_STACK_LINES = 50;

/** One line on standard output. */
export function printLine(text: string): void {
  process.stdout.write(`${printable(text, MAX_LINE)}\n`);
}

/** One line of trusted text on standard output, whatever its length. */
export function printTrusted(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** JSON on standard output, in one line unless it is indented. */
export function printJSON(value: unknown, indent?: number): void {
  process.stdout.write(`${printableJSON(value, indent)}\n`);
}

/** One line on standard error. */
export function printErrorLine(text: string): void {
  standardError().write(`${printable(text, MAX_LINE)}\n`);
}

/** A failure on standard error: one line, followed by the stack trace. Prints nothing for a failure without a line. */
export function printFailure({ line, trace }: Failure): void {
  if (line === undefined) return;
  standardError().write(`${painted('red', 'error:', standardError())} ${printable(line, MAX_LINE)}\n`);
  for (const text of trace?.split('\n', MAX_STACK_LINES) ?? []) printErrorLine(text);
}

import { painted } from '../../parent/log/colours.js';
import { printable } from '../../protocol/text/printable-text.js';
import { cutToWidth, textWidth } from './text-width.js';

/** Longest cell, in UTF-16 code units: enough for the ports of a container, and a limit for hostile names. */
const MAX_CELL = 4096;

/**
 * Columns aligned as by Go's text/tabwriter for RootlessKit's rootlessctl: cells of at least 4 characters, each followed by 4
 * spaces, including the last one. Cells may contain text from inside the namespaces, and are sanitised. The first row is the
 * heading.
 */
export function formatTable(untrusted: readonly (readonly string[])[]): string {
  return lines(align(untrusted, { least: 4, padding: 4 }).map((row) => row.join('')));
}

/**
 * Columns as docker aligns them: cells of at least 10 characters, 3 spaces between, no space at the end of a line.
 * @param room columns of the terminal, where lines are to end
 */
export function formatColumns(untrusted: readonly (readonly string[])[], room?: number): string {
  const rows = alignedColumns(untrusted);
  return lines(room === undefined ? rows : rows.map((row) => cutToWidth(row, room)));
}

/** The same without a heading. */
export function formatRows(untrusted: readonly (readonly string[])[]): string {
  return alignedColumns(untrusted)
    .map((row) => `${row}\n`)
    .join('');
}

function alignedColumns(untrusted: readonly (readonly string[])[]): string[] {
  return align(untrusted, { least: 10, padding: 3 }).map((row) => row.join('').trimEnd());
}

/** Of several the first is the heading. */
function lines(rows: readonly string[]): string {
  const [heading, ...rest] = rows;
  if (heading === undefined) return '';
  return [rest.length === 0 ? heading : painted('bold', heading, process.stdout), ...rest]
    .map((row) => `${row}\n`)
    .join('');
}

function align(
  untrusted: readonly (readonly string[])[],
  { least, padding }: { least: number; padding: number },
): string[][] {
  const rows = untrusted.map((row) =>
    row.map((cell) => {
      const text = printable(cell, MAX_CELL);
      return { text, width: textWidth(text) };
    }),
  );
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach(({ width }, column) => {
      widths[column] = Math.max(widths[column] ?? least, width + padding);
    });
  }
  return rows.map((row) => row.map(({ text, width }, column) => text + ' '.repeat((widths[column] ?? width) - width)));
}

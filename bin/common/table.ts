import { printable } from '../../protocol/text/printable-text.js';

/** Longest cell, in UTF-16 code units: enough for the ports of a container, and a limit for hostile names. */
const MAX_CELL = 4096;

/**
 * Columns aligned as by Go's text/tabwriter for RootlessKit's rootlessctl: cells of at least 4 characters, each followed by 4
 * spaces, including the last one. Cells may contain text from inside the namespaces, and are sanitised.
 */
export function formatTable(untrusted: readonly (readonly string[])[]): string {
  return align(untrusted, { least: 4, padding: 4 })
    .map((row) => `${row.join('')}\n`)
    .join('');
}

/** Columns as docker aligns them: cells of at least 10 characters, 3 spaces between, no space at the end of a line. */
export function formatColumns(untrusted: readonly (readonly string[])[]): string {
  return align(untrusted, { least: 10, padding: 3 })
    .map((row) => `${row.join('').trimEnd()}\n`)
    .join('');
}

function align(
  untrusted: readonly (readonly string[])[],
  { least, padding }: { least: number; padding: number },
): string[][] {
  const rows = untrusted.map((row) => row.map((cell) => printable(cell, MAX_CELL)));
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? least, [...cell].length + padding);
    });
  }
  const pad = (cell: string, column: number): string => cell + ' '.repeat((widths[column] ?? 0) - [...cell].length);
  return rows.map((row) => row.map(pad));
}

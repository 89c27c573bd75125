/**
 * Columns of text as Go's text/tabwriter aligns them for RootlessKit's rootlessctl: cells of at least 4 characters,
 * each followed by 4 blanks, the last one too.
 */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const MIN_WIDTH = 4;
  const PADDING = 4;
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? MIN_WIDTH, [...cell].length + PADDING);
    });
  }
  const pad = (cell: string, column: number): string => cell + ' '.repeat((widths[column] ?? 0) - [...cell].length);
  return rows.map((row) => `${row.map(pad).join('')}\n`).join('');
}

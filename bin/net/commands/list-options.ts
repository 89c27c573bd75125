/** The options that the listing commands `ps` and `network ls` have in common, and their output. */
import type { Command } from 'commander';
import { shortId } from '../../../protocol/containers/short-id.js';
import { printJSON, printLine } from '../../common/print.js';
import { type Format, listFormatOption, printList } from '../docker/format.js';
import { collect } from '../options/values.js';
import type { Struct } from '../template/index.js';

export interface ListOptions {
  quiet?: boolean;
  trunc: boolean;
  filter: string[];
  format?: Format;
  json?: boolean;
}

/** @param filters names of the filters that the command has */
export function withListOptions(command: Command, filters: readonly string[]): Command {
  return command
    .option('-q, --quiet', 'only IDs')
    .option('--no-trunc', 'do not truncate values')
    .option('-f, --filter <filter>', `NAME=VALUE, NAME one of ${filters.join(', ')}; may be repeated`, collect, [])
    .addOption(listFormatOption())
    .option('--json', "the reports of the stack's API, one JSON object per line");
}

/** How a report is shown. */
export interface ListLayout<Report> {
  row: (report: Report) => Struct;
  /** By field. */
  headings: Struct;
  /** The table without a template. */
  table: () => string;
}

/** Throws UsageError, before it prints anything, where a template does not fit the rows. */
export function printReports<Report extends { id: string }>(
  reports: readonly Report[],
  { json, quiet, trunc, format = { kind: 'table' } }: ListOptions,
  { row, headings, table }: ListLayout<Report>,
): void {
  if (json) for (const report of reports) printJSON(report);
  else if (quiet && format.kind !== 'template') for (const { id } of reports) printLine(trunc ? shortId(id) : id);
  else printList(format, { rows: reports.map(row), headings, table });
}

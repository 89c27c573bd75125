/** `--format` of the commands that list and inspect. */
import { Option } from 'commander';
import { UsageError } from '../../../parent/errors.js';
import { printable, printableLines } from '../../../protocol/text/printable-text.js';
import { printJSON } from '../../common/print.js';
import { formatColumns } from '../../common/table.js';
import { parseTemplate, type Struct, type Template, TemplateError, type Value } from '../template/index.js';

export type Format =
  /** The default. */
  | { kind: 'table' }
  | { kind: 'json' }
  | { kind: 'template'; text: string; template: Template }
  | { kind: 'table-template'; text: string; template: Template };

/** The option with its parser. */
export function listFormatOption(): Option {
  return new Option(
    '--format <format>',
    'json, a template such as {{.Names}}, or "table TEMPLATE" for a table with headings; the fields are those of docker',
  ).argParser(parseListFormat);
}

export function inspectFormatOption(): Option {
  return new Option(
    '-f, --format <format>',
    'json, or a template such as {{.NetworkSettings.IPAddress}}; the fields are those of docker',
  ).argParser(parseInspectFormat);
}

/** Selects the format of a report; the values are nerdctl's. */
export function modeOption(): Option {
  return new Option('--mode <mode>', "dockercompat: docker's fields; native: the report of the stack's API")
    .choices(['dockercompat', 'native'])
    .default('dockercompat');
}

/** Throws UsageError. */
export function parseListFormat(text: string): Format {
  if (text === 'json') return { kind: 'json' };
  if (text === 'table') return { kind: 'table' };
  // As docker does, for lists only.
  const plain = text.trim().replaceAll('\\t', '\t').replaceAll('\\n', '\n');
  const table = /^table\s+/.exec(plain)?.[0];
  if (table === undefined) return { kind: 'template', text, template: compile(text, plain) };
  return { kind: 'table-template', text, template: compile(text, plain.slice(table.length)) };
}

/** Throws UsageError. */
export function parseInspectFormat(text: string): Format {
  return text === 'json' ? { kind: 'json' } : { kind: 'template', text, template: compile(text, text) };
}

function compile(text: string, plain: string): Template {
  return withFormat(text, () => parseTemplate(plain));
}

/** Runs a task. Throws UsageError with the template in place of TemplateError. */
function withFormat<T>(text: string, task: () => T): T {
  try {
    return task();
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new UsageError(`invalid --format ${JSON.stringify(printable(text))}: ${error.message}`);
  }
}

export interface List {
  rows: readonly Struct[];
  /** By field. */
  headings: Struct;
  /** The table without a template. */
  table: () => string;
}

/** Throws UsageError before it prints anything. */
export function printList(format: Format, { rows, headings, table }: List): void {
  switch (format.kind) {
    case 'table':
      process.stdout.write(table());
      return;
    case 'json':
      for (const row of rows) printJSON(row);
      return;
    case 'template':
      printRendered(format, rows);
      return;
    default: {
      const { text, template } = format;
      const lines = withFormat(text, () => [
        template.renderHeader(headings),
        ...rows.map((row) => template.render(row)),
      ]);
      const cells = lines.flatMap((line) => line.split('\n')).map((line) => line.split('\t'));
      process.stdout.write(formatColumns(cells));
    }
  }
}

/** Output of `inspect`. Throws UsageError before it prints anything. */
export function printInspected(format: Format | undefined, views: readonly Value[]): void {
  if (format?.kind === 'template') printRendered(format, views);
  else printJSON(views, format?.kind === 'json' ? undefined : 4);
}

/** Like printInspected(), for a single object. */
export function printInspectedOne(format: Format, view: Value): void {
  if (format.kind === 'template') printRendered(format, [view]);
  else printJSON(view);
}

function printRendered({ text, template }: { text: string; template: Template }, values: readonly Value[]): void {
  const lines = withFormat(text, () => values.map((value) => template.render(value)));
  process.stdout.write(lines.map((line) => `${printableLines(line)}\n`).join(''));
}

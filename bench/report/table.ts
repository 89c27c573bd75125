// Reports as text tables.
import type { Column } from '../model.js';
import { caveatOf, type Verdict } from './judge.js';
import type { CandidateReport, Cell, RowReport } from './report.js';

type NamedColumn = RowReport['columns'][number];

/** The tables of one row, as text: one for each column that is not shown beside another. */
export function formatRow(report: RowReport): string {
  const beside = report.columns.filter((column) => column.beside);
  const main = report.columns.filter((column) => !column.beside && !column.series);
  const tables = main.map((column, index) =>
    [
      heading(report, column, main.length),
      ...formatColumn(report, column, index === 0 ? beside : [], index === 0),
      ...formatVerdicts(report, index === 0 ? [column, ...beside] : [column]),
    ].join('\n'),
  );
  const congestion = describeCongestion(report);
  return [...tables, ...formatSeries(report), ...(congestion === undefined ? [] : [congestion])].join('\n');
}

function heading({ name, title }: RowReport, column: Column, columns: number): string {
  const quantity = columns > 1 ? `: ${column.title}` : '';
  return `${name}: ${title}${quantity}, ${column.unit}${column.less ? ' (less is better)' : ''}`;
}

/** One line for each candidate. Notes are in the first table, and where a figure is missing. */
function formatColumn(
  { candidates: all }: RowReport,
  column: NamedColumn,
  beside: readonly NamedColumn[],
  isFirst: boolean,
): string[] {
  const lines = [
    [
      ...['', 'median', 'min', 'max', 'to direct', 'ours to it'],
      ...beside.map(({ title, unit }) => `${title} ${unit}`),
      '',
    ],
  ];
  for (const candidate of all) {
    const cell = candidate.cells[column.name];
    if (cell === undefined) {
      lines.push([candidate.name, '-', '', '', '', '', ...beside.map(() => ''), noteOf(candidate)]);
      continue;
    }
    lines.push([
      candidate.name,
      ...[cell.median, cell.min, cell.max].map((value) => value.toFixed(column.decimals)),
      ...[cell.toReference, cell.oursToIt].map((ratio) => ratio?.toFixed(2) ?? ''),
      ...beside.map(({ name, decimals }) => withSpan(candidate.cells[name], decimals)),
      isFirst ? noteOf(candidate) : descriptionOf(candidate),
    ]);
  }
  return alignColumns(lines);
}

/** A median and the span of the rounds. */
export function withSpan(cell: Cell | undefined, decimals: number): string {
  if (cell === undefined) return '';
  const [median, min, max] = [cell.median, cell.min, cell.max].map((value) => formatNumber(value, decimals));
  return min === max ? `${median}` : `${median} (${min}–${max})`;
}

export function formatNumber(value: number, decimals: number): string {
  return value.toLocaleString('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

/** The most important remark on a candidate. */
export function noteOf(candidate: CandidateReport): string {
  const note = candidate.figures.find((figure) => figure?.note !== undefined)?.note;
  return candidate.problem ?? caveatOf(candidate) ?? note ?? descriptionOf(candidate);
}

function descriptionOf({ description }: CandidateReport): string {
  return description ?? '';
}

/** One table for each quantity, with a column for each number. */
function formatSeries(report: RowReport): string[] {
  return seriesOf(report).flatMap(({ title, of, unit, less, points }, index) => {
    const used = points.filter(({ name }) => report.candidates.some(({ cells }) => cells[name]));
    if (used.length === 0) return [];
    const lines = [
      ['', ...used.map(({ at }) => String(at)), ''],
      ...report.candidates
        .filter(({ cells, problem }) => used.some(({ name }) => cells[name]) || (index === 0 && problem))
        .map((candidate) => [
          candidate.name,
          ...used.map(({ name, decimals }) => candidate.cells[name]?.median.toFixed(decimals) ?? '-'),
          index === 0 ? noteOf(candidate) : '',
        ]),
    ];
    const better = less ? ' (less is better)' : '';
    const verdicts = used.flatMap(({ name, at }) =>
      (report.verdicts[name] ?? []).map((verdict) => `goal: at ${formatNumber(at, 0)}: ${formatVerdict(verdict)}`),
    );
    return [`${report.name}: ${title}, ${unit}${better}, by ${of}`, ...alignColumns(lines), ...verdicts].join('\n');
  });
}

export interface Series {
  title: string;
  of: string;
  unit: string;
  less: boolean;
  points: { name: string; at: number; decimals: number }[];
}

/** Groups the columns that belong to one series, in their order. */
export function seriesOf({ columns }: RowReport): Series[] {
  const all = new Map<string, Series>();
  for (const { name, unit, decimals, less, series } of columns) {
    if (series === undefined) continue;
    const { title, of, at } = series;
    const key = `${title} by ${of}`;
    const known = all.get(key) ?? { title, of, unit, less: less === true, points: [] };
    known.points.push({ name, at, decimals });
    all.set(key, known);
  }
  return [...all.values()];
}

/** Formats lines of cells as aligned text: first and last column left, the others right. */
function alignColumns(lines: readonly (readonly string[])[]): string[] {
  // Empty columns are omitted.
  const columns = (lines[0] ?? []).map((_, index) => index);
  const used = columns.filter((column) => lines.slice(1).some((line) => line[column] !== ''));
  const widths = columns.map((column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  return lines.map((line) =>
    used
      .map((column) => {
        const cell = line[column] ?? '';
        const left = column === 0 || column === line.length - 1;
        return left ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
      })
      .join('  ')
      .trimEnd(),
  );
}

function formatVerdicts({ verdicts }: RowReport, columns: readonly NamedColumn[]): string[] {
  return columns.flatMap((column) =>
    (verdicts[column.name] ?? []).map((verdict) => {
      const what = column.beside ? `${column.title} ` : '';
      return `goal: ${what}${formatVerdict(verdict)}`;
    }),
  );
}

/** Includes the span of the rounds, which shows how reliable the verdict is. */
export function formatVerdict({ text, reached, rounds, met, caveat }: Verdict): string {
  const because = caveat === undefined ? '' : ` (${caveat})`;
  if (reached === undefined) return `${text}: unknown${because}`;
  const { unit, decimals } = reached;
  const [median, min, max] = [reached.median, reached.min, reached.max].map((value) => value.toFixed(decimals));
  const count = rounds && `, ${rounds.met} of ${rounds.of} met`;
  const spanned = min === max ? '' : ` (rounds: ${min} to ${max}${count ?? ''})`;
  return `${text}: ${median}${unit && ` ${unit}`}${spanned}, ${met ? 'met' : 'NOT met'}${because}`;
}

/** The congestion control in effect at both ends, as far as the programs report it; candidates with the same are grouped. */
function describeCongestion({ candidates: all }: RowReport): string | undefined {
  const names = new Map<string, string[]>();
  for (const { name, figures, childCongestion } of all) {
    const details = figures.find((figure) => figure !== undefined)?.details;
    const ends = [details?.senderCongestion, details?.receiverCongestion];
    const pair = ends.some((end) => end !== undefined) ? ends.join(' to ') : undefined;
    const child = childCongestion === undefined ? undefined : `${childCongestion} in its namespace`;
    const text = [pair, child].filter((part) => part !== undefined).join(', ');
    if (text !== '') names.set(text, [...(names.get(text) ?? []), name]);
  }
  if (names.size === 0) return undefined;
  return `congestion control: ${[...names].map(([text, who]) => `${text} (${who.join(', ')})`).join('; ')}`;
}

/** How many goals of all rows are met, and which are not. */
export function formatSummary(reports: readonly RowReport[]): string {
  const all = reports.flatMap(({ name, columns, verdicts }) =>
    columns.flatMap((column) => (verdicts[column.name] ?? []).map((verdict) => ({ name, column, verdict }))),
  );
  const missed = all.filter(({ verdict }) => verdict.met === false);
  const unknown = all.filter(({ verdict }) => verdict.met === undefined);
  const list = (entries: typeof all) =>
    entries.map(({ name, column, verdict }) => `\n  ${name}, ${column.title}: ${formatVerdict(verdict)}`).join('');
  return [
    `goals: ${all.length - missed.length - unknown.length} of ${all.length} met`,
    ...(missed.length > 0 ? [`not met:${list(missed)}`] : []),
    ...(unknown.length > 0 ? [`unknown:${list(unknown)}`] : []),
  ].join('\n');
}

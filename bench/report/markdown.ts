// Reports as tables in Markdown, a column for each candidate, with their goals and remarks.
import { referenceName } from '../candidates/candidate.js';
import type { Cell, RowReport } from './report.js';
import { formatNumber, formatVerdict, noteOf, seriesOf, withSpan } from './table.js';

const rowTitle: readonly string[] = ['row'];

type NamedColumn = RowReport['columns'][number];
type CandidateReport = RowReport['candidates'][number];

/** The tables of several rows, their goals, and what is to be known of candidates. */
export function formatReports(reports: readonly RowReport[]): string {
  const parts = [
    formatTable(reports),
    ...reports.map(formatSeriesTables),
    formatGoals(reports),
    formatRemarks(reports),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

/** One table for all columns that are not series; a line for each. */
function formatTable(reports: readonly RowReport[]): string {
  const names = namesOf(reports);
  const lines = reports.flatMap((report) => {
    const columns = report.columns.filter(
      ({ series, name }) => !series && report.candidates.some(({ cells }) => cells[name]),
    );
    const main = columns.filter(({ beside }) => !beside);
    return columns.map((column) => [
      labelOf(report, column, main.length),
      ...names.map((name) =>
        formatCell(
          report.candidates.find((each) => each.name === name),
          column,
        ),
      ),
    ]);
  });
  return lines.length === 0 ? '' : formatLines(rowTitle.concat(names), lines);
}

function namesOf(reports: readonly RowReport[]): string[] {
  const known = (report: RowReport) => report.candidates.filter(({ cells }) => Object.keys(cells).length > 0);
  return [...new Set(reports.flatMap((report) => known(report).map(({ name }) => name)))];
}

/** Of several main columns each has its title; those beside another are recognizable by their dash. */
function labelOf({ name }: RowReport, { title, unit, beside }: NamedColumn, count: number): string {
  if (beside) return `– ${title}, ${unit}`;
  const isPlain = count === 1 && (title === 'throughput' || title === 'rate');
  return `${name}${isPlain ? '' : `: ${title}`}, ${unit}`;
}

/** Beside the main columns the span of the rounds; in these the ratio to "direct". */
function formatCell(candidate: CandidateReport | undefined, { name, decimals, beside }: NamedColumn): string {
  const cell = candidate?.cells[name];
  if (cell === undefined) return '–';
  if (beside) return withSpan(cell, decimals);
  const median = formatNumber(cell.median, decimals);
  if (cell.toReference === undefined || candidate?.name === referenceName) return median;
  return `${median} (${cell.toReference.toFixed(2).replace(/^0/, '')})`;
}

/** A table for each thing that grows, a line for each quantity and candidate. */
function formatSeriesTables(report: RowReport): string {
  const all = seriesOf(report);
  const things = [...new Set(all.map(({ of }) => of))];
  const tables = things.map((thing) => {
    const series = all.filter(({ of }) => of === thing);
    const shown = series.map(({ points }) =>
      points.filter(({ name }) => report.candidates.some(({ cells }) => cells[name])),
    );
    const numbers = shown[0]?.map(({ at }) => formatNumber(at, 0)) ?? [];
    if (numbers.length === 0) return '';
    const lines = series.flatMap(({ title, unit }, index) =>
      report.candidates
        .filter(({ cells }) => shown[index]?.some(({ name }) => cells[name]))
        .map((candidate) => [
          `${title}, ${unit}: ${candidate.name}`,
          ...(shown[index] ?? []).map(({ name, decimals }) => formatMedian(candidate.cells[name], decimals)),
        ]),
    );
    return formatLines([`${report.name}: ${thing}`, ...numbers], lines);
  });
  return tables.filter((table) => table !== '').join('\n\n');
}

function formatMedian(cell: Cell | undefined, decimals: number): string {
  return cell === undefined ? '–' : formatNumber(cell.median, decimals);
}

/** Every goal, with what was reached. */
function formatGoals(reports: readonly RowReport[]): string {
  const lines = reports.flatMap((report) => {
    const many = report.columns.filter(({ beside }) => !beside).length > 1;
    return report.columns.flatMap((column) =>
      (report.verdicts[column.name] ?? []).map((verdict) => {
        const at = column.series ? ` at ${formatNumber(column.series.at, 0)} ${column.series.of}` : '';
        const [, text = '', reached = ''] = /^(.*?): (.*)$/.exec(formatVerdict(verdict)) ?? [];
        const what = many || column.beside ? `${report.name}: ${column.title}${at}` : report.name;
        return { met: verdict.met, line: [what, text, reached.replace('NOT met', '**not met**')] };
      }),
    );
  });
  if (lines.length === 0) return '';
  const count = lines.filter(({ met }) => met).length;
  const table = formatLines(
    ['row', 'goal', 'this time'],
    lines.map(({ line }) => line),
  );
  return `${count} of ${lines.length} goals met:\n\n${table}`;
}

/** Why candidates have no figures, or figures that do not count; without descriptions, and without paths of this machine. */
function formatRemarks(reports: readonly RowReport[]): string {
  const lines = reports.flatMap(({ name, candidates }) =>
    candidates.flatMap((candidate) => {
      const remark = noteOf(candidate);
      if (remark === '' || remark === candidate.description) return [];
      return [
        `- ${name}, ${candidate.name}: ${remark.replaceAll(/(?<![\w/])\/[\w./+-]+\//g, '…/').replaceAll('\n', ' ')}`,
      ];
    }),
  );
  return [...new Set(lines)].join('\n');
}

function formatLines(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const format = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [format(head), format(head.map(() => '---')), ...lines.map(format)].join('\n');
}

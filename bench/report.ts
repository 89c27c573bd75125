// Turns results into tables for people. The figures for machines are those of the JSON file.
import { candidates, referenceName } from './candidates.js';
import type { SuiteReport } from './containers.js';
import type { CandidateResult } from './measure.js';
import type { Row } from './rows.js';
import { median, roundRatios, type Summary, summarize } from './statistics.js';

/** The figures of one row, ready for a table or JSON. */
export interface RowReport {
  name: string;
  title: string;
  unit: string;
  candidates: CandidateReport[];
  /** Undefined if the row has no goal, or one of the two has no figures. */
  goal?: { text: string; ratios: Summary; met: boolean; caveat?: string };
}

export interface CandidateReport extends CandidateResult {
  median?: number;
  min?: number;
  max?: number;
  /** Of its figures to those of "direct" in the same rounds. */
  ratio?: number;
}

const values = (result: CandidateResult | undefined) => result?.figures.map((figure) => figure?.value) ?? [];

/** The first caveat of any of its figures. */
function caveatOf(result: CandidateResult | undefined): string | undefined {
  return result?.figures.find((figure) => figure?.caveat !== undefined)?.caveat;
}

export function reportRow(name: string, row: Row, results: readonly CandidateResult[]): RowReport {
  const find = (wanted: string) => results.find((result) => result.name === wanted);
  const report: RowReport = {
    name,
    title: row.title,
    unit: row.unit,
    candidates: results.map((result) => {
      const known = values(result).filter((value) => value !== undefined);
      if (known.length === 0) return result;
      return {
        ...result,
        ...summarize(known),
        ratio: median(roundRatios(values(result), values(find(referenceName)))),
      };
    }),
  };
  if (row.goal) {
    const { candidate, peer, factor } = row.goal;
    const ratios = summarize(roundRatios(values(find(candidate)), values(find(peer))));
    const spoilt = [candidate, peer].find((wanted) => caveatOf(find(wanted)) !== undefined);
    if (!Number.isNaN(ratios.median)) {
      report.goal = {
        text: `${candidate} at least ${factor} x ${peer}`,
        ratios,
        met: ratios.median >= factor && spoilt === undefined,
        ...(spoilt !== undefined && { caveat: `the figures of ${spoilt} do not count` }),
      };
    }
  }
  return report;
}

/** The table of one row, as text. */
export function formatRow(report: RowReport, decimals: number): string {
  const lines = [['', report.unit, 'min', 'max', 'to direct', 'p50 ms', 'p99 ms', '']];
  for (const candidate of report.candidates) {
    const { median, min, max, ratio, problem } = candidate;
    const note = problem ?? caveatOf(candidate) ?? candidates[candidate.name]?.description ?? '';
    if (median === undefined || min === undefined || max === undefined) {
      lines.push([candidate.name, '-', '', '', '', '', '', note]);
      continue;
    }
    lines.push([
      candidate.name,
      ...[median, min, max].map((value) => value.toFixed(decimals)),
      ratio === undefined || Number.isNaN(ratio) ? '' : ratio.toFixed(2),
      milliseconds(candidate, 'p50_us'),
      milliseconds(candidate, 'p99_us'),
      note,
    ]);
  }
  const goal = report.goal ? [formatGoal(report.goal)] : [];
  return [report.title, ...alignColumns(lines), ...goal, `congestion control: ${describeCongestion(report)}`].join(
    '\n',
  );
}

/** The table of a measurement that is not of traffic, as text. */
export function formatSuite({ title, lines, goals, notes }: SuiteReport): string {
  const columns = [...new Set(lines.flatMap(({ cells }) => Object.keys(cells)))];
  const table = [
    ['', ...columns.flatMap((column) => [column, '(min to max)']), ''],
    ...lines.map(({ name, description, cells }) => [
      name,
      ...columns.flatMap((column) => {
        const cell = cells[column];
        if (!cell) return ['-', ''];
        const [middle, min, max] = [cell.median, cell.min, cell.max].map((value) =>
          String(Number(value.toPrecision(3))),
        );
        return [middle ?? '', min === max ? '' : `(${min} to ${max})`];
      }),
      description,
    ]),
  ];
  const verdicts = goals.map(({ text, met }) => `goal: ${text}: ${met ? 'met' : 'NOT met'}`);
  return [title, ...alignColumns(table), ...verdicts, ...notes].join('\n');
}

/** Lines of cells as lines of text. The first and the last column are words, the others figures. */
function alignColumns(lines: readonly (readonly string[])[]): string[] {
  // Columns that no candidate fills are left out.
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

/** With the span of the rounds, which says how much the verdict is worth. */
function formatGoal({ text, ratios, met, caveat }: NonNullable<RowReport['goal']>): string {
  const [median, min, max] = [ratios.median, ratios.min, ratios.max].map((ratio) => ratio.toFixed(2));
  const verdict = `${met ? 'met' : 'NOT met'}${caveat === undefined ? '' : ` (${caveat})`}`;
  return `goal: ${text}: ${median} (rounds: ${min} to ${max}), ${verdict}`;
}

function milliseconds({ figures }: CandidateReport, key: string): string {
  const known = figures.map((figure) => figure?.details[key]).filter((value) => typeof value === 'number');
  return known.length === 0 ? '' : (summarize(known).median / 1000).toFixed(2);
}

/** Which congestion control was in force at either end, as far as the programs said. */
function describeCongestion(report: RowReport): string {
  const said = report.candidates.flatMap(({ name, figures, childCongestion }) => {
    const details = figures.find((figure) => figure !== undefined)?.details;
    const ends = [details?.senderCongestion, details?.receiverCongestion];
    const pair = ends.some((end) => end !== undefined) ? ends.join(' to ') : undefined;
    const child = childCongestion === undefined ? undefined : `${childCongestion} in its namespace`;
    const text = [pair, child].filter((part) => part !== undefined).join(', ');
    return text === '' ? [] : [`${name} ${text}`];
  });
  return said.length === 0 ? 'not said by the programs' : said.join('; ');
}

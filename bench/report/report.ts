// Summaries of a row, for tables, charts and the JSON file.
import { ownName, referenceName } from '../candidates/candidate.js';
import type { CandidateResult, Column, Row } from '../model.js';
import { goals } from './goals.js';
import { columnValues, judge, type Verdict } from './judge.js';
import { median, roundRatios, type Summary, summarize } from './statistics.js';

export interface RowReport {
  name: string;
  title: string;
  columns: (Column & { name: string })[];
  candidates: CandidateReport[];
  /** Verdicts on the goals, by column. */
  verdicts: Readonly<Record<string, readonly Verdict[]>>;
}

export interface CandidateReport extends CandidateResult {
  /** By column, if it has figures. */
  cells: Readonly<Record<string, Cell>>;
  /** Latencies in µs by percentage; the medians of the rounds. */
  spread?: Readonly<Record<string, number>>;
}

export interface Cell extends Summary {
  /** Median ratio to "direct" in the same rounds. */
  toReference?: number;
  /** Median ratio of our values to this candidate's in the same rounds. */
  oursToIt?: number;
}

export function reportRow(
  name: string,
  row: Pick<Row, 'title' | 'columns'>,
  results: readonly CandidateResult[],
): RowReport {
  const columns = Object.entries(row.columns).map(([column, facts]) => ({ name: column, ...facts }));
  const own = results.find((result) => result.name === ownName);
  const verdicts = Object.entries(goals[name] ?? {}).flatMap(([column, wanted]): [string, Verdict[]][] => {
    const facts = row.columns[column];
    if (facts === undefined) return [];
    // The long end of a series is measured on request only.
    if (facts.series && columnValues(own, column).every((value) => value === undefined)) return [];
    return [[column, judge(wanted, column, facts, results)]];
  });
  return {
    name,
    title: row.title,
    columns,
    candidates: results.map((result) => ({
      ...result,
      cells: Object.fromEntries(
        columns.flatMap((column): [string, Cell][] => {
          const cell = makeCell(column.name, result, results);
          return cell ? [[column.name, cell]] : [];
        }),
      ),
      ...spreadOf(result),
    })),
    verdicts: Object.fromEntries(verdicts),
  };
}

function makeCell(column: string, result: CandidateResult, results: readonly CandidateResult[]): Cell | undefined {
  const values = columnValues(result, column);
  const known = values.filter((value) => value !== undefined);
  if (known.length === 0) return undefined;
  const of = (name: string) =>
    columnValues(
      results.find((other) => other.name === name),
      column,
    );
  const toReference = median(roundRatios(values, of(referenceName)));
  const oursToIt = median(roundRatios(of(ownName), values));
  return {
    ...summarize(known),
    ...(!Number.isNaN(toReference) && { toReference }),
    ...(!Number.isNaN(oursToIt) && result.name !== ownName && { oursToIt }),
  };
}

function spreadOf({ figures }: CandidateResult): Pick<CandidateReport, 'spread'> {
  const spreads = figures.map((figure) => figure?.quantiles).filter((quantiles) => quantiles !== undefined);
  const percents = Object.keys(spreads[0] ?? {});
  if (percents.length === 0) return {};
  const at = (percent: string) =>
    median(spreads.map((spread) => spread[percent]).filter((value) => value !== undefined));
  return { spread: Object.fromEntries(percents.map((percent) => [percent, at(percent)])) };
}

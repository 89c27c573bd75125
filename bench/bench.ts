// Measures the requested rows one after the other, and prints the results.
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { repoRoot } from '../test/support/paths.js';
import { type Candidates, ownName } from './candidates/candidate.js';
import { checkLoad, checkPipes, checkSteal, describeMachine, describeVersions, type Machine } from './conditions.js';
import { processorTime } from './measure/processor.js';
import type { Environment } from './model.js';
import type { BenchOptions } from './options.js';
import { writeCharts } from './report/charts.js';
import { type RowReport, reportRow } from './report/report.js';
import { writeSections } from './report/sections.js';
import { formatRow, formatSummary } from './report/table.js';
import { rows } from './rows.js';
import { describe } from './running/start-candidate.js';

const readme = join(repoRoot, 'bench', 'README.md');

/** Resolves to the exit code. */
export async function bench(options: BenchOptions, where: Environment): Promise<number> {
  const machine = describeMachine(where.network.defaultCongestion);
  const versions = describeVersions(pick(options.known, options.candidates));
  const warnings = new Warnings(where.progress);
  where.progress(describeInWords(machine, versions));
  if (where.client.user === undefined) {
    warnings.add('not root: all candidates share one user and so its quota of pipe pages; as root each has its own');
    if (machine.congestionControl === 'bbr') {
      warnings.add('the congestion control here is bbr, which paces: all figures are too low');
    }
  }
  warnings.add(checkLoad());

  const reports: RowReport[] = [];
  const omitted: Record<string, string> = {};
  let failed = false;
  for (const name of options.rows) {
    const result = await measureRow(name, options, where, warnings);
    if ('omitted' in result) {
      omitted[name] = result.omitted;
      where.progress(`${name}: ${result.omitted}`);
      failed ||= options.named || result.failed;
      continue;
    }
    process.stdout.write(`${reports.length > 0 ? '\n' : ''}${formatRow(result)}\n`);
    reports.push(result);
    const own = result.candidates.find((candidate) => candidate.name === ownName);
    if (own && Object.keys(own.cells).length === 0) failed = true;
  }
  if (reports.length > 1) process.stdout.write(`\n${formatSummary(reports)}\n`);
  if (options.json !== undefined) {
    const { json, plot, known, ...given } = options;
    const record = { date: new Date().toISOString(), machine, versions, options: given, warnings: warnings.all };
    writeFileSync(resolve(json), `${JSON.stringify({ ...record, omitted, rows: reports }, null, 2)}\n`);
  }
  if (options.plot !== undefined) {
    for (const file of writeCharts(resolve(options.plot), reports)) where.progress(`wrote ${file}`);
  }
  if (options.write) {
    const { words, rounds, seconds } = options;
    for (const name of writeSections(readme, reports, {
      date: new Date(),
      machine,
      versions,
      words,
      rounds,
      seconds,
    })) {
      where.progress(`wrote the table "${name}" into bench/README.md`);
    }
  }
  return failed ? 1 : 0;
}

function pick(candidates: Candidates, names: readonly string[]): Candidates {
  return Object.fromEntries(Object.entries(candidates).filter(([name]) => names.includes(name)));
}

function describeInWords(machine: Machine, versions: Readonly<Record<string, string>>): string {
  const { processor, cores, memoryGiB, kernel, congestionControl } = machine;
  const all = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `${processor}, ${cores} cores, ${memoryGiB} GiB, Linux ${kernel}, ${congestionControl} for the clients\n${all.join(', ')}`;
}

/** Conditions that distort measurements; each is reported once. */
class Warnings {
  readonly #all = new Set<string>();
  readonly #report: (line: string) => void;

  constructor(report: (line: string) => void) {
    this.#report = report;
  }

  add(warning: string | undefined): void {
    if (warning === undefined || this.#all.has(warning)) return;
    this.#all.add(warning);
    this.#report(`warning: ${warning}`);
  }

  get all(): string[] {
    return [...this.#all];
  }
}

/** A row that fails is reported, and the others are measured. */
async function measureRow(
  name: string,
  options: BenchOptions,
  where: Environment,
  warnings: Warnings,
): Promise<RowReport | { omitted: string; failed: boolean }> {
  const row = rows[name];
  if (row === undefined) return { omitted: 'unknown row', failed: true };
  const reason = row.unavailable(where);
  if (reason !== undefined) return { omitted: reason, failed: false };
  const checkAllPipes = () => {
    for (const candidate of options.candidates) warnings.add(checkPipes(where.account(candidate), where.root));
  };
  checkAllPipes();
  const since = processorTime();
  try {
    return reportRow(name, row, await row.measure(options, where));
  } catch (error) {
    return { omitted: `not measured: ${describe(error)}`, failed: true };
  } finally {
    checkAllPipes();
    warnings.add(checkSteal(since));
  }
}

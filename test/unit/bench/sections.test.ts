import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CandidateResult, Column } from '../../../bench/model.js';
import { formatReports } from '../../../bench/report/markdown.js';
import { reportRow } from '../../../bench/report/report.js';
import { describeRun, type Run, replaceSection, writeSections } from '../../../bench/report/sections.js';
import { rows } from '../../../bench/rows.js';
import { repoRoot, tempDir } from '../../support/index.js';

const rate: Column = { title: 'rate', unit: 'conn/s', decimals: 0 };
const p99: Column = { title: 'p99', unit: 'µs', decimals: 1, less: true, beside: true };

function result(name: string, ...figures: Record<string, number>[]): CandidateResult {
  return { name, figures: figures.map((values) => ({ values })) };
}

const connections = reportRow('connections', { title: 'New ones', columns: { rate, p99 } }, [
  result('direct', { rate: 10_000, p99: 10 }, { rate: 20_000, p99: 30 }),
  result('rootless-run', { rate: 5000, p99: 44 }, { rate: 12_000, p99: 44 }),
  { name: 'pasta', figures: [], description: 'pasta', problem: '/opt/new/pasta | ended' },
]);

const run: Run = {
  date: new Date('2026-11-30T12:00:00Z'),
  machine: {
    ...{ processor: 'Some CPU', cores: 2, memoryGiB: 8, kernel: '6.18', congestionControl: 'reno' },
    defaultCongestionControl: 'bbr',
  },
  versions: { node: '20.20.2', before: 'abc123' },
  words: 'connections --peer before=/home/me/base --peer=pasta=/opt/new/pasta --rounds 2'.split(' '),
  rounds: 2,
  seconds: 1,
};

describe("the benchmark's tables in Markdown", () => {
  it('have a line for each column, with ratios or spans, and every goal', () => {
    const lines = formatReports([connections]).split('\n');
    assert.deepEqual(lines.slice(0, 4), [
      '| row | direct | rootless-run |',
      '| --- | --- | --- |',
      '| connections, conn/s | 15,000 | 8,500 (.55) |',
      '| – p99, µs | 20.0 (10.0–30.0) | 44.0 |',
    ]);
    assert(lines.includes('| connections | at least 0.45 x direct | 0.55 (rounds: 0.50 to 0.60, 2 of 2 met), met |'));
    assert(lines.includes('1 of 3 goals met:'), lines.join('\n'));
  });

  it('say why there are no figures, without paths', () => {
    assert.match(formatReports([connections]), /^- connections, pasta: …\/pasta \| ended$/m);
  });

  it('have a table for what grows, whose goals compare with the beginning', () => {
    const at = (count: number): Column => ({ ...rate, series: { title: 'one stream', of: 'connections', at: count } });
    const columns = { 'rate at 1 connections': at(1), 'rate at 1000 connections': at(1000) };
    const figures = [{ values: { 'rate at 1 connections': 40, 'rate at 1000 connections': 30 } }];
    const text = formatReports([
      reportRow('growth', { title: 'Growth', columns }, [{ name: 'rootless-run', figures }]),
    ]);
    assert.match(
      text,
      /^\| growth: connections \| 1 \| 1,000 \|\n.*\n\| one stream, conn\/s: rootless-run \| 40 \| 30 \|$/m,
    );
    assert.match(
      text,
      /^\| growth: rate at 1,000 connections \| at least 0\.9 x what it is with 1 \| 0\.75, \*\*not met\*\* \|$/m,
    );
  });
});

describe("the benchmark's README", () => {
  it('has the sections that its runs write', () => {
    const text = readFileSync(join(repoRoot, 'bench', 'README.md'), 'utf8');
    for (const name of ['traffic', 'outbound', 'start', 'growth', 'container'])
      assert.match(replaceSection(text, name, 'x'), /\n\nx\n\n/);
  });

  it('names every row', () => {
    const text = readFileSync(join(repoRoot, 'bench', 'README.md'), 'utf8');
    const named = [...text.matchAll(/^\| ([a-z0-9, -]+) \|/gm)].flatMap(([, names = '']) => names.split(', '));
    for (const name of Object.keys(rows)) assert(named.includes(name), name);
  });

  it('keeps what is outside of a section, and other sections', () => {
    const file = join(tempDir(), 'README.md');
    const section = (name: string) => `<!-- bench ${name} -->\nold\n<!-- end of bench ${name} -->\n`;
    writeFileSync(file, `before\n${section('traffic')}between\n${section('start')}after\n`);
    assert.deepEqual(writeSections(file, [connections], run), ['traffic']);
    const text = readFileSync(file, 'utf8');
    const [traffic = '', start] = text.split('between\n');
    assert(
      traffic.startsWith('before\n<!-- bench traffic -->\n\n2026-11-30, 2 × Some CPU, Linux 6.18, reno; node 20.20.2'),
    );
    assert(traffic.endsWith('\n\n<!-- end of bench traffic -->\n'));
    assert(!traffic.includes('old'));
    assert.equal(start, `${section('start')}after\n`);
    assert.throws(() => replaceSection(text, 'growth', ''), /There is no section/);
  });

  it('has the rows of outbound traffic in a section of their own', () => {
    const file = join(tempDir(), 'README.md');
    writeFileSync(file, '<!-- bench outbound -->\nold\n<!-- end of bench outbound -->\n');
    const columns = { rate };
    const out = reportRow('out-connections', { title: 'New ones', columns }, [result('direct', { rate: 1 })]);
    assert.deepEqual(writeSections(file, [out], run), ['outbound']);
    assert.match(readFileSync(file, 'utf8'), /^\| out-connections/m);
  });

  it('has the command without the paths of the machine', () => {
    const command = describeRun(run).split('\n').at(-1);
    assert.equal(command, '    npm run bench -- connections --peer before=…/base --peer=pasta=…/pasta --rounds 2');
  });
});

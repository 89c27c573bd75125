import assert from 'node:assert/strict';
import type { CandidateResult, Column, Figure } from '../../../bench/model.js';
import type { Goal } from '../../../bench/report/goals.js';
import { judge } from '../../../bench/report/judge.js';
import { type RowReport, reportRow } from '../../../bench/report/report.js';
import { formatRow, formatSummary, formatVerdict } from '../../../bench/report/table.js';
import { describe as describeError } from '../../../bench/running/start-candidate.js';

const more: Column = { title: 'rate', unit: 'conn/s', decimals: 0 };
const less: Column = { title: 'time', unit: 'ms', decimals: 1, less: true };

const peers = ['socat', 'pasta', 'rootlesskit'];

/** One figure a round; undefined for a round that failed. */
function result(name: string, ...values: (number | undefined)[]): CandidateResult {
  const figures = values.map((value) => (value === undefined ? undefined : { values: { x: value } }));
  return { name, figures, ...(peers.includes(name) && { peer: true }) };
}

function verdict(goal: Goal, column: Column, ...results: CandidateResult[]) {
  const [only] = judge([goal], 'x', column, results);
  assert(only);
  return only;
}

describe('a goal', () => {
  const direct = result('direct', 100, 200);
  const own = result('rootless-run', 50, 120);
  const cases: [string, Goal, Column, CandidateResult[], string][] = [
    [
      'a ratio within the rounds',
      { than: 'direct', ratio: 0.5 },
      more,
      [direct, own],
      'at least 0.5 x direct: 0.55 (rounds: 0.50 to 0.60, 2 of 2 met), met',
    ],
    ['a ratio that is missed', { than: 'direct', ratio: 0.6 }, more, [direct, own], 'NOT met'],
    ['a ratio where less is better', { than: 'direct', ratio: 0.6 }, less, [direct, own], 'at most 0.6 x direct: 0.55'],
    [
      'to be above another',
      { than: 'pasta', ratio: 1 },
      more,
      [own, result('pasta', 40, 40)],
      'above pasta: 2.13 (rounds: 1.25 to 3.00, 2 of 2 met), met',
    ],
    [
      'to be below another',
      { than: 'pasta', ratio: 1 },
      less,
      [own, result('pasta', 40, 40)],
      'below pasta: 2.13 (rounds: 1.25 to 3.00, 0 of 2 met), NOT met',
    ],
    [
      'to be above each of the others, of which the strongest counts',
      { thanEachPeer: 1.1 },
      more,
      [direct, own, result('socat', 10, 10), result('pasta', 40, 40), result('rootlesskit', undefined)],
      'at least 1.1 x each of the others (here pasta): 2.13 (rounds: 1.25 to 3.00, 2 of 2 met), met',
    ],
    [
      'to be below each of the others',
      { thanEachPeer: 1 },
      less,
      [own, result('socat', 100, 100), result('pasta', 400, 400)],
      'below each of the others (here socat): 0.85 (rounds: 0.50 to 1.20, 1 of 2 met), met',
    ],
    [
      'a difference',
      { than: 'direct', plus: 15 },
      less,
      [result('direct', 30, 40), result('rootless-run', 40, 60)],
      'at most direct + 15 ms: 15.0 ms (rounds: 10.0 to 20.0, 1 of 2 met), met',
    ],
    ['a value', { value: 50 }, less, [result('rootless-run', 50, 50)], 'at most 50 ms: 50.0 ms, met'],
    [
      'a value, where more is better',
      { value: 50 },
      more,
      [result('rootless-run', 49)],
      'at least 50 conn/s: 49 conn/s, NOT met',
    ],
    [
      'a value, or what the best of the others reaches',
      { value: 13, orBestPeer: true },
      less,
      [result('rootless-run', 15), result('pasta', 15.5), result('socat', 90), result('direct', 5)],
      'at most 13 ms, or the best of the others: 15.0 ms, met',
    ],
    [
      'a value that stands where the others are worse',
      { value: 13, orBestPeer: true },
      less,
      [result('rootless-run', 15), result('pasta', 12)],
      'NOT met',
    ],
  ];

  for (const [name, goal, column, results, expected] of cases) {
    it(`can be ${name}`, () => {
      const text = formatVerdict(verdict(goal, column, ...results));
      assert(text.includes(expected), text);
    });
  }

  it('compares with an earlier state only where that is measured', () => {
    const goal: Goal = { than: 'before', ratio: 1.12 };
    assert.deepEqual(judge([goal], 'x', more, [direct, own]), []);
    const text = formatVerdict(verdict(goal, more, result('before', 40, 120), own));
    assert.equal(text, 'at least 1.12 x before: 1.13 (rounds: 1.00 to 1.25, 1 of 2 met), met');
    assert.match(
      formatVerdict(verdict(goal, more, result('before', undefined), own)),
      /unknown \(no figures of before\)/,
    );
  });

  it('compares what grows with its beginning', () => {
    const growing: CandidateResult = { name: 'rootless-run', figures: [{ values: { one: 40, x: 30 } }] };
    const flat: Goal = { thanColumn: 'one', title: 'with 1', ratio: 0.9 };
    assert.equal(formatVerdict(verdict(flat, more, growing)), 'at least 0.9 x what it is with 1: 0.75, NOT met');
    const added: Goal = { thanColumn: 'one', title: 'with 1', plus: 2 };
    assert.equal(formatVerdict(verdict(added, less, growing)), 'at most 2 ms more than with 1: -10.0 ms, met');
  });

  it('is unknown if a candidate has no figures', () => {
    const unknown = verdict({ than: 'pasta', ratio: 1 }, more, own, result('pasta', undefined));
    assert.equal(unknown.met, undefined);
    assert.equal(formatVerdict(unknown), 'above pasta: unknown (no figures of pasta)');
    assert.match(formatVerdict(verdict({ thanEachPeer: 1 }, more, direct, own)), /unknown \(none of them/);
    assert.match(formatVerdict(verdict({ value: 1 }, more, direct)), /unknown \(no figures of rootless-run\)/);
  });

  it('is not met by figures with a caveat, on either side', () => {
    const spoilt = (name: string, value: number): CandidateResult => ({
      ...result(name),
      figures: [{ values: { x: value }, caveat: 'stuck' }],
    });
    const ours = verdict({ than: 'direct', ratio: 0.5 }, more, result('direct', 100), spoilt('rootless-run', 90));
    assert.match(formatVerdict(ours), /0\.90, NOT met \(the figures of rootless-run do not count\)/);
    const theirs = verdict({ than: 'pasta', ratio: 1 }, more, result('rootless-run', 90), spoilt('pasta', 1));
    assert.match(formatVerdict(theirs), /NOT met \(the figures of pasta do not count\)/);
    const others = verdict({ thanEachPeer: 1 }, more, result('rootless-run', 90), spoilt('pasta', 100));
    assert.equal(others.met, undefined);
  });
});

describe('a report', () => {
  const columns = { rate: more, p50: { ...less, title: 'p50', beside: true } as const };
  const figure = (rate: number, p50: number, rest: Partial<Figure> = {}): Figure => ({
    values: { rate, p50 },
    ...rest,
  });
  const row = (name: string, ...figures: Figure[]): CandidateResult => ({ ...result(name), figures });
  const direct = row('direct', figure(100, 1), figure(200, 2));
  const own = row('rootless-run', figure(50, 3), figure(120, 5));
  const pasta = row('pasta', figure(25, 9), figure(24, 9));
  const lines = (report: RowReport) => formatRow(report).split('\n');
  const cells = (report: RowReport, name: string) =>
    lines(report)
      .find((line) => line.startsWith(`${name} `))
      ?.split(/ {2,}/);

  it('shows medians, ratios to direct, of rootless-run to the others, and the notes beside', () => {
    const report = reportRow('connections', { title: 'New ones', columns }, [direct, own, pasta]);
    assert.equal(lines(report)[0], 'connections: New ones, conn/s');
    assert.match(lines(report)[1] ?? '', /median +min +max +to direct +ours to it +p50 ms/);
    assert.deepEqual(cells(report, 'direct')?.slice(0, 7), [
      'direct',
      '150',
      '100',
      '200',
      '1.00',
      '0.55',
      '1.5 (1.0–2.0)',
    ]);
    assert.deepEqual(cells(report, 'pasta')?.slice(1, 6), ['25', '24', '25', '0.18', '3.50']);
    assert.match(formatRow(report), /^goal: at least 0\.45 x direct: 0\.55 .*, met$/m);
    assert.match(formatRow(report), /^goal: at least 1\.2 x each of the others \(here pasta\): 3\.50 /m);
  });

  it('shows who could not be measured, and why; and what is to be known', () => {
    const absent: CandidateResult = { name: 'pasta', figures: [], problem: 'not installed: pasta' };
    const noted = row('socat', figure(1, 1, { note: 'sees another' }));
    const spoilt = row('rootless-run', figure(50, 3), figure(120, 5, { caveat: 'most were stuck' }));
    const report = reportRow('connections', { title: 'New ones', columns }, [direct, spoilt, absent, noted]);
    assert.match(formatRow(report), /^pasta +- +not installed: pasta$/m);
    assert.match(formatRow(report), /^rootless-run .* most were stuck$/m);
    assert.match(formatRow(report), /^socat .* sees another$/m);
    assert.match(formatRow(report), /NOT met \(the figures of rootless-run do not count\)/);
  });

  it('has a table for each further column, and marks where less is better', () => {
    const both = { attach: less, processes: { ...less, title: 'processes', unit: 'programs', decimals: 0 } };
    const figures = [{ values: { attach: 5, processes: 4 } }];
    const report = reportRow('container', { title: 'Containers', columns: both }, [
      { name: 'rootless-run', figures, description: 'by netlink' },
    ]);
    assert.match(formatRow(report), /^container: Containers: time, ms \(less is better\)$/m);
    assert.match(formatRow(report), /^container: Containers: processes, programs \(less is better\)$/m);
    assert.match(formatRow(report), /^rootless-run +5\.0 +5\.0 +5\.0 +by netlink$/m);
    assert.match(formatRow(report), /^goal: at most 5 ms: 5\.0 ms, met$/m);
    assert.match(
      formatSummary([report]),
      /^goals: 1 of 2 met\nnot met:\n {2}container, processes: at most 3 programs: 4 programs, NOT met$/,
    );
  });

  it('has one line for what grows', () => {
    const at = (count: number) => ({ ...more, series: { title: 'one stream', of: 'connections', at: count } });
    const growing = { a: at(1), b: at(10), c: at(100) };
    const report = reportRow('growth', { title: 'Growth', columns: growing }, [
      { name: 'direct', figures: [{ values: { a: 3, b: 2 } }] },
      { name: 'pasta', figures: [{ values: { a: 1 } }] },
    ]);
    assert.equal(lines(report)[0], 'growth: one stream, conn/s, by connections');
    assert.match(lines(report)[1] ?? '', /^ +1 +10$/);
    assert.deepEqual(cells(report, 'direct')?.slice(1, 3), ['3', '2']);
    assert.deepEqual(cells(report, 'pasta')?.slice(1, 3), ['1', '-']);
  });

  it('reports which congestion control was in force', () => {
    const candidate = (name: string, sender: string): CandidateResult => ({
      ...row(name, figure(1, 1, { details: { senderCongestion: sender, receiverCongestion: 'bbr' } })),
      ...(name !== 'direct' && { childCongestion: 'cubic' }),
    });
    const report = reportRow('tcp', { title: 'TCP', columns }, [
      candidate('direct', 'reno'),
      candidate('pasta', 'reno'),
      candidate('socat', 'reno'),
    ]);
    assert.equal(
      lines(report).at(-1),
      'congestion control: reno to bbr (direct); reno to bbr, cubic in its namespace (pasta, socat)',
    );
  });
});

describe('what went wrong', () => {
  it('is described in few words', () => {
    const command = `setpriv ${'x'.repeat(500)}`;
    const ended = new Error(`${command} ended (1) before it was ready; its output:\none\ntwo\nthree\nno tun device`);
    const text = describeError(ended);
    assert.match(text, /^…x+ ended \(1\) before it was ready; its output: \| two \| three \| no tun device$/);
    assert.ok(text.length < 160);
    assert.equal(describeError(new Error('no answer', { cause: new Error('refused') })), 'no answer (refused)');
  });
});

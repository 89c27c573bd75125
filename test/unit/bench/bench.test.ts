import assert from 'node:assert/strict';
import { findVersion } from '../../../bench/conditions.js';
import type { CandidateResult } from '../../../bench/measure.js';
import { parseOptions, UsageError } from '../../../bench/options.js';
import { formatRow, reportRow } from '../../../bench/report.js';
import { type Figure, parseIperf3, parseLoad, type Row, rows } from '../../../bench/rows.js';
import { median, roundOrder, roundRatios } from '../../../bench/statistics.js';

describe('the benchmark', () => {
  it('takes the median', () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 3]), 2.5);
    assert.ok(Number.isNaN(median([])));
  });

  it('compares candidates within the same round', () => {
    assert.deepEqual(roundRatios([5, 10, 20], [10, 10, 20]), [0.5, 1, 1]);
    assert.deepEqual(roundRatios([5, undefined, 5], [10, 1, 20]), [0.5, 0.25]);
    assert.deepEqual(roundRatios([], [10]), []);
  });

  it('reverses the order every other round', () => {
    assert.deepEqual(
      [0, 1, 2].map((round) => roundOrder(['a', 'b'], round).join('')),
      ['ab', 'ba', 'ab'],
    );
  });

  it('knows its options, and always measures direct', () => {
    const options = parseOptions(['tcp', '--peers', 'pasta', '--rounds', '2', '--json', 'f']);
    assert.deepEqual(options, { rows: ['tcp'], candidates: ['direct', 'pasta'], rounds: 2, seconds: 3, json: 'f' });
    assert.deepEqual(parseOptions([]).rows, [...Object.keys(rows), 'container']);
    for (const wrong of [['nonsense'], ['--peers', 'nobody'], ['--rounds', '0'], ['--rounds', '1.5'], ['--foo']]) {
      assert.throws(() => parseOptions(wrong), UsageError, wrong.join(' '));
    }
  });

  it("reads iperf3's figures and errors", () => {
    const end = {
      sum_received: { bits_per_second: 2e9 },
      sender_tcp_congestion: 'reno',
      receiver_tcp_congestion: 'bbr',
    };
    assert.deepEqual(parseIperf3(JSON.stringify({ end })), {
      value: 2,
      details: { senderCongestion: 'reno', receiverCongestion: 'bbr' },
    });
    assert.throws(() => parseIperf3('{"error":"unable to connect","end":{}}'), /unable to connect/);
  });

  it('sees that connections were stuck, or failed', () => {
    const load = (change: Record<string, number>) =>
      parseLoad(JSON.stringify({ connections: 1000, errors: 0, rate: 1000, in_flight: 31, p50_us: 1, ...change }));
    assert.equal(load({}).caveat, undefined);
    assert.match(load({ in_flight: 1.8 }).caveat ?? '', /only 1\.8 of 32/);
    assert.match(load({ errors: 11 }).caveat ?? '', /11 attempts failed/);
    assert.throws(() => load({ rate: 0 }), /no connection/);
  });

  it('reads versions, and does not take another number for one', () => {
    assert.equal(findVersion('iperf 3.12 (cJSON 1.7.15)\nLinux vm 6.18'), '3.12');
    assert.equal(findVersion('rootlesskit version 1.1.0\n'), '1.1.0');
    assert.equal(findVersion('socat by Gerhard Rieger\nsocat version 1.7.4.4 on 06 Nov 2022'), '1.7.4.4');
    assert.equal(findVersion('pasta unknown version\nCopyright Red Hat\nGNU GPL version 2 or later'), undefined);
  });

  describe('a report', () => {
    const row = rows.connections as Row;
    const figure = (value: number, caveat?: string): Figure => ({ value, details: {}, ...(caveat && { caveat }) });
    const result = (name: string, ...figures: Figure[]): CandidateResult => ({ name, figures });
    const direct = result('direct', figure(100), figure(100));
    const rootlesskit = result('rootlesskit', figure(20), figure(20));

    it('says whether the goal is met', () => {
      const met = reportRow('connections', row, [direct, result('rootless-run', figure(50), figure(40)), rootlesskit]);
      assert.deepEqual(met.goal, {
        text: 'rootless-run at least 2 x rootlesskit',
        ratios: { median: 2.25, min: 2, max: 2.5 },
        met: true,
      });
      assert.match(formatRow(met, 0), /^goal: .*: 2\.25 \(rounds: 2\.00 to 2\.50\), met$/m);
      const missed = reportRow('connections', row, [direct, result('rootless-run', figure(30)), rootlesskit]);
      assert.equal(missed.goal?.met, false);
    });

    it('does not take a figure with a caveat for the goal met', () => {
      const spoilt = result('rootless-run', figure(90), figure(90, 'stuck'));
      const report = reportRow('connections', row, [direct, spoilt, rootlesskit]);
      assert.equal(report.goal?.met, false);
      assert.match(formatRow(report, 0), /NOT met \(the figures of rootless-run do not count\)/);
    });

    it('shows who could not be measured, and why', () => {
      const absent: CandidateResult = { name: 'pasta', figures: [], problem: 'not installed: pasta' };
      const report = reportRow('connections', row, [direct, absent]);
      assert.equal(report.goal, undefined);
      assert.match(formatRow(report, 0), /^pasta +- +not installed: pasta$/m);
      assert.match(formatRow(report, 0), /^direct +100 +100 +100 +1\.00/m);
    });
  });
});

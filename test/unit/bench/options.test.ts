import assert from 'node:assert/strict';
import { candidates, peerNames } from '../../../bench/candidates.js';
import { findVersion } from '../../../bench/conditions.js';
import { parseOptions, UsageError } from '../../../bench/options.js';
import { goals } from '../../../bench/report/goals.js';
import { rows } from '../../../bench/rows.js';

describe("the benchmark's options", () => {
  it('are known, and direct is always measured', () => {
    const args = ['udp', 'tcp', '--peers', 'pasta', '--rounds', '2', '--json', 'f', '--plot', 'd', '--long'];
    assert.deepEqual(parseOptions(args), {
      rows: ['tcp', 'udp'],
      named: true,
      candidates: ['direct', 'pasta'],
      rounds: 2,
      seconds: 3,
      long: true,
      json: 'f',
      plot: 'd',
    });
  });

  it('mean all rows and all candidates unless some are named', () => {
    const { rows: asked, named, candidates: names, long } = parseOptions([]);
    assert.deepEqual(asked, Object.keys(rows));
    assert.deepEqual(names, Object.keys(candidates));
    assert.deepEqual([named, long], [false, false]);
  });

  it('are refused if they make no sense', () => {
    for (const wrong of [['nonsense'], ['--peers', 'nobody'], ['--rounds', '0'], ['--rounds', '1.5'], ['--foo']]) {
      assert.throws(() => parseOptions(wrong), UsageError, wrong.join(' '));
    }
  });
});

describe("the benchmark's goals", () => {
  it('are about columns that rows have', () => {
    for (const [row, columns] of Object.entries(goals)) {
      for (const column of Object.keys(columns)) assert(rows[row]?.columns[column], `${row} has no ${column}`);
    }
  });

  it('compare with candidates that exist', () => {
    const known = ['direct', 'node', ...peerNames];
    for (const goal of Object.values(goals).flatMap((columns) => Object.values(columns).flat())) {
      if ('than' in goal) assert(known.includes(goal.than), goal.than);
    }
  });
});

describe("the benchmark's versions", () => {
  it('are read, and another number is rejected', () => {
    assert.equal(findVersion('iperf 3.12 (cJSON 1.7.15)\nLinux vm 6.18'), '3.12');
    assert.equal(findVersion('rootlesskit version 1.1.0\n'), '1.1.0');
    assert.equal(findVersion('redis-benchmark 7.0.15\n'), '7.0.15');
    assert.equal(findVersion('socat by Gerhard Rieger\nsocat version 1.7.4.4 on 06 Nov 2022'), '1.7.4.4');
    assert.equal(findVersion('pasta unknown version\nCopyright Red Hat\nGNU GPL version 2 or later'), undefined);
  });
});

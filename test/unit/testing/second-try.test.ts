import assert from 'node:assert/strict';
import { type Counts, noCounts } from '../../setup/results/counts.js';
import { afterSecondTry } from '../../setup/results/second-try.js';

/** The counts of a run with these failures. */
const counts = (passed: number, ...failures: Counts['failures']): Counts => ({
  ...noCounts(),
  passed,
  failed: failures.length,
  failures,
});

describe('a second try of failed tests', () => {
  const test = { title: 'a b', file: 'unit/a', report: 'a b\n    Error' };

  it('counts what passes then, and reports it', async () => {
    const options: string[][] = [];
    const { counts: total, flaky } = await afterSecondTry(counts(9, test), async (words) => {
      options.push(words);
      return counts(5);
    });
    assert.deepEqual(options, [['--file', 'unit/a']]);
    assert.deepEqual([total.passed, total.failed, total.failures], [10, 0, []]);
    assert.deepEqual(flaky, ['Passed at the second try only: a b\n    Error']);
  });

  it('keeps what fails again, and what is left behind then', async () => {
    const again = counts(
      1,
      test,
      { report: 'a process', mayFollow: true },
      { title: 'd', file: 'unit/a', report: 'd' },
    );
    const { counts: total, flaky } = await afterSecondTry(
      counts(9, test, { title: 'c', file: 'unit/a', report: 'c' }),
      async () => again,
    );
    assert.deepEqual([total.passed, total.failed], [10, 2]);
    assert.deepEqual(flaky, ['Passed at the second try only: c', 'Failed at the second try only: d']);
  });

  it('drops what a failed test may have left behind, and keeps a leak of tests that passed', async () => {
    const first = counts(9, { report: 'a leak' }, test, { report: 'a process', mayFollow: true });
    const { counts: total, flaky } = await afterSecondTry(first, async () => counts(1));
    assert.deepEqual([total.passed, total.failed, total.failures], [10, 1, [{ report: 'a leak' }]]);
    assert.deepEqual(flaky.at(-1), 'After a failed test: a process');
  });

  it('is not given to more failures than chance explains', async () => {
    const many = Array.from({ length: 9 }, (_, index) => ({ title: String(index), file: 'unit/a', report: '' }));
    const first = counts(0, ...many);
    const second = async () => assert.fail('it was run');
    assert.equal((await afterSecondTry(first, second)).counts, first);
  });
});

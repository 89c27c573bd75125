import assert from 'node:assert/strict';
import { median, roundDifferences, roundOrder, roundRatios } from '../../../bench/report/statistics.js';

describe("the benchmark's statistics", () => {
  it('take the median', () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 3]), 2.5);
    assert.ok(Number.isNaN(median([])));
  });

  it('compare candidates within the same round', () => {
    assert.deepEqual(roundRatios([5, 10, 20], [10, 10, 20]), [0.5, 1, 1]);
    assert.deepEqual(roundRatios([5, undefined, 5], [10, 1, 20]), [0.5, 0.25]);
    assert.deepEqual(roundRatios([], [10]), []);
    assert.deepEqual(roundDifferences([5, undefined, 7], [1, 1, 2]), [4, 5]);
  });

  it('reverse the order every other round', () => {
    assert.deepEqual(
      [0, 1, 2].map((round) => roundOrder(['a', 'b'], round).join('')),
      ['ab', 'ba', 'ab'],
    );
  });
});

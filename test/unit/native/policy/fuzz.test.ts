import assert from 'node:assert/strict';
import { nativeTest } from '../../../support/native-test.js';

interface Fuzzed {
  kind: string;
  inputs: number;
  /** How many were valid although they were changed. */
  accepted: number;
  /** Processor time of the slowest one. */
  nanoseconds: number;
}

describe('what parses first bytes and policies', () => {
  it('survives changed inputs, and takes them like whole ones in any pieces', async () => {
    const count = 20_000;
    const results = await nativeTest<Fuzzed>(['policy-fuzz', '1', `${count}`]);
    assert.deepEqual(
      results.map(({ kind, inputs }) => [kind, inputs]),
      [
        ['client-hello', count],
        ['http-head', count],
        ['policy', count],
      ],
    );
    // Neither is trivial: some inputs pass, and some do not.
    for (const { kind, accepted } of results) assert(accepted > count / 20 && accepted < count, kind);
  });
});

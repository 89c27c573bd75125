/** Functions for DNS messages with messages of any kind; many more with `native_test dns-fuzz FILE SEED COUNT`. */
import assert from 'node:assert/strict';
import { nativeTest } from '../../../support/native-test.js';
import { dnsSampleFile } from '../../../support/traffic/dns.js';

describe('DNS messages that were damaged at random', () => {
  for (const seed of [1, 2]) {
    it(`are read or refused (seed ${seed})`, async () => {
      const count = 50_000;
      const [result] = await nativeTest<{ inputs: number }>(['dns-fuzz', dnsSampleFile, `${seed}`, `${count}`]);
      assert.equal(result?.inputs, count);
    });
  }
});

/** Frames of the gateway's device: whatever a program inside sends. */
import assert from 'node:assert/strict';
import { nativeTest } from '../../../support/native-test.js';

describe('frames of the gateway namespace', () => {
  it('are parsed, and answered, within their bounds', async () => {
    const count = 20_000;
    const [result] = await nativeTest<{ frames: number; valid: number }>(['frames-fuzz', '1', String(count)]);
    // Of changed copies of valid ones both kinds are many.
    assert(result && result.valid > count / 10 && result.valid < (count * 9) / 10, JSON.stringify(result));
  });
});

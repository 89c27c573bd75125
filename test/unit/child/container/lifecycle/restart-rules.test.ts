import assert from 'node:assert/strict';
import {
  nextDelay,
  wantsAnother,
  wantsAnotherInNewStack,
} from '../../../../../child/container/lifecycle/restart/restart-rules.js';
import type { RunRecord } from '../../../../../child/container/storage/container-store.js';
import { parseRestartPolicy } from '../../../../../protocol/containers/restart-policy.js';

const run = (fields: Partial<RunRecord> = {}): RunRecord => ({ status: 'exited', stack: 's', exitCode: 0, ...fields });

describe('restart policies', () => {
  const failed = run({ exitCode: 1 });
  for (const [policy, ended, again, inNewStack] of [
    ['no', failed, false, false],
    ['', failed, false, false],
    ['always', run(), true, true],
    ['always', run({ stopped: true }), false, true],
    ['unless-stopped', run(), true, true],
    ['unless-stopped', run({ stopped: true }), false, false],
    ['on-failure', run(), false, false],
    ['on-failure', failed, true, true],
    ['on-failure', run({ exitCode: 1, stopped: true }), false, false],
    ['on-failure', { status: 'exited', stack: 's', reason: 'nobody saw it' }, true, true],
    ['on-failure', run({ failure: 'no root file system' }), true, true],
    ['on-failure:2', run({ exitCode: 1, restarts: 1 }), true, true],
    ['on-failure:2', run({ exitCode: 1, restarts: 2 }), false, false],
    ['on-failure:2', run({ failure: 'x', restarts: 2 }), false, false],
  ] as const) {
    it(`${policy || 'none'} after ${JSON.stringify(ended)}: ${again}, in a new stack ${inNewStack}`, () => {
      const asked = parseRestartPolicy(policy);
      assert.deepEqual([wantsAnother(asked, ended), wantsAnotherInNewStack(asked, ended)], [again, inNewStack]);
    });
  }

  it('wait twice as long each time, and start over after a run of ten seconds', () => {
    const short = run({ started: '2026-01-01T00:00:00.000Z', finished: '2026-01-01T00:00:09.999Z' });
    const long = { ...short, finished: '2026-01-01T00:00:10.000Z' };
    const delays: number[] = [];
    for (let delay: number | undefined; delays.length < 12; delays.push(delay)) delay = nextDelay(delay, short);
    assert.deepEqual(delays, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000]);
    assert.equal(nextDelay(60_000, long), 100);
    assert.equal(nextDelay(60_000, { ...long, failure: 'not started since' }), 60_000);
  });
});

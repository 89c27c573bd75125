import assert from 'node:assert/strict';
import { RateLimitedLog } from '../../../parent/log/rate-limited-log.js';

describe('the log of something untrusted', () => {
  function make() {
    const lines: string[] = [];
    const clock = { now: 0 };
    const log = new RateLimitedLog(
      (line) => lines.push(line),
      'the agent',
      () => clock.now,
    );
    return { lines, clock, log };
  }

  it('has what comes now and then in full', () => {
    const { lines, clock, log } = make();
    for (let at = 0; at < 500; at++) {
      clock.now = at * 1000;
      log.log(`line ${at}`);
    }
    assert.equal(lines.length, 500);
  });

  it('suppresses a flood, and reports how many lines were left out', () => {
    const { lines, clock, log } = make();
    for (let at = 0; at < 100_000; at++) log.log('flood');
    assert.equal(lines.length, 100);
    clock.now = 10_000;
    log.log('later');
    assert.deepEqual(lines.slice(100), ['99900 more lines of the agent were suppressed', 'later']);
  });

  it('lets a few lines a second pass during a flood', () => {
    const { lines, clock, log } = make();
    for (let at = 0; at < 10_000; at++) {
      clock.now = at;
      log.log('flood');
    }
    const passed = lines.filter((line) => line === 'flood').length;
    assert.ok(passed >= 140 && passed <= 160, `${passed} lines passed`);
  });
});

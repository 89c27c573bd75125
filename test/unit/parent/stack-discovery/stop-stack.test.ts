import assert from 'node:assert/strict';
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { native } from '../../../../native/index.js';
import { stopStack } from '../../../../parent/stack-discovery/stop.js';
import type { StackRecord } from '../../../../protocol/state/stack-record.js';
import { identityOf } from '../../../../protocol/system/process-identity.js';
import { tempDir } from '../../../support/index.js';

describe('stopping a stack that has to be killed', () => {
  it('removes its state directory, though a thread of it holds the lock a moment longer', async () => {
    const stateDir = join(tempDir(), 'state');
    mkdirSync(stateDir);
    const lock = openSync(join(stateDir, 'lock'), 'w');
    assert(native().flock(lock, true));
    const record: StackRecord = {
      process: { ...identityOf(process.pid), pid: 2 ** 22 + 1, startTime: '1' },
      stateDir,
      socket: join(stateDir, 'api.sock'),
      started: '2026-11-29T09:14:06.000Z',
      program: 'rootless-run',
      net: 'none',
    };
    const stopping = stopStack(record, 0);
    await turn();
    closeSync(lock);
    await stopping;
    assert.equal(existsSync(stateDir), false);
  });
});

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { binPath, isAlive, listProcesses, run, tempDir, waitFor } from '../../support/index.js';

/** Processes that were started with this directory as their home, and run that program. */
function started(home: string, word: string): number[] {
  return listProcesses()
    .filter(({ pid, args }) => {
      try {
        return args.includes(word) && readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`HOME=${home}\0`);
      } catch {
        // It has ended, or is none of ours.
        return false;
      }
    })
    .map(({ pid }) => pid);
}

describe('rootless-net where no stack runs', () => {
  it('starts one, also where several look for it at once', async () => {
    const home = tempDir();
    const env = {
      HOME: home,
      XDG_RUNTIME_DIR: join(home, 'run'),
      XDG_DATA_HOME: join(home, 'data'),
      XDG_CONFIG_HOME: join(home, 'config'),
      XDG_STATE_HOME: join(home, 'state'),
    };
    mkdirSync(env.XDG_RUNTIME_DIR, { mode: 0o700 });
    try {
      const calls = Array.from({ length: 4 }, () =>
        run(process.execPath, [binPath('rootless-net'), 'ps', '-q'], { env }),
      );
      for (const { code, stdout, stderr } of await Promise.all(calls)) {
        assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '', stderr: '' });
      }
      assert.equal(started(home, 'serve').length, 1);
    } finally {
      const stacks = started(home, 'serve');
      for (const pid of stacks) process.kill(pid, 'SIGTERM');
      await waitFor(() => !stacks.some(isAlive), { what: 'the end of the stack' });
    }
  });
});

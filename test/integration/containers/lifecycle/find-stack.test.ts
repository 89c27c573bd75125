import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { binPath, isAlive, listProcesses, run, tempDir, waitFor } from '../../../support/index.js';
import { userDirectories } from '../../../support/stacks/containers.js';

/** Processes that were started with this directory as their home, and run that program. */
function started(home: string, word: string): number[] {
  return listProcesses()
    .filter(({ pid, args }) => {
      try {
        return args.includes(word) && readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`HOME=${home}\0`);
      } catch {
        // It has ended, or is not one of this test.
        return false;
      }
    })
    .map(({ pid }) => pid);
}

describe('rootless-net without a running stack', () => {
  it('starts one, also for several concurrent requests', async () => {
    const home = tempDir();
    const { env } = userDirectories(home);
    try {
      const calls = Array.from({ length: 4 }, () => run(binPath('rootless-net'), ['network', 'prune'], { env }));
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

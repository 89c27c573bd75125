import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { OCIHooks, type OCIHooksDeps } from '../../../../../child/container/api/oci-hooks.js';
import { ConflictError, ContainerError } from '../../../../../child/container/errors.js';
import { KeyedLock } from '../../../../../child/container/storage/lock.js';

/** Runs createRuntime for a process with a network namespace; what is done is noted. */
async function create({ recently, errors }: { recently: boolean; errors: Error[] }): Promise<string[]> {
  const done: string[] = [];
  const deps = {
    containers: { store: { get: () => undefined } },
    attacher: {
      attach: async () => {
        done.push('attach');
        const error = errors.shift();
        if (error) throw error;
      },
    },
    locks: new KeyedLock(),
    sweep: async (within = 0) => {
      const skipped = recently && within > 0;
      done.push(skipped ? 'skip' : 'sweep');
      return !skipped;
    },
    warn: () => {},
  } as unknown as OCIHooksDeps;
  const child = spawn('unshare', ['--user', '--net', 'sleep', '1000'], { stdio: 'ignore' });
  try {
    const hooks = new OCIHooks(deps);
    const state = { id: 'c1', pid: child.pid };
    for (;;) {
      try {
        await hooks.run('createRuntime', state);
        return done;
      } catch (error) {
        // It has not made its namespace yet.
        if (!(error instanceof ContainerError && /no network namespace of its own/.test(error.message))) throw error;
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  } catch (error) {
    return [...done, (error as Error).message];
  } finally {
    child.kill('SIGKILL');
  }
}

describe('the hook createRuntime', () => {
  it('takes away first what containers have left that ended without poststop', async () => {
    assert.deepEqual(await create({ recently: false, errors: [] }), ['sweep', 'attach']);
    assert.deepEqual(await create({ recently: false, errors: [new ConflictError('taken')] }), [
      'sweep',
      'attach',
      'taken',
    ]);
  });

  it('does so after a conflict where that was just done', async () => {
    assert.deepEqual(await create({ recently: true, errors: [] }), ['skip', 'attach']);
    assert.deepEqual(await create({ recently: true, errors: [new ConflictError('taken')] }), [
      'skip',
      'attach',
      'sweep',
      'attach',
    ]);
    assert.deepEqual(await create({ recently: true, errors: [new ContainerError('no')] }), ['skip', 'attach', 'no']);
  });
});

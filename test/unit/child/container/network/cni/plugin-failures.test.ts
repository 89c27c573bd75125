import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CNI } from '../../../../../../child/container/network/cni/executor/chain.js';
import { CNIError } from '../../../../../../child/container/network/cni/executor/errors.js';
import { isAlive, tempDir, waitFor } from '../../../../../support/index.js';
import { fails, id, network, runtime, writePlugin } from './executor.js';

describe('CNI: a plugin that fails', () => {
  /** The error of ADD when the plugin is this script. */
  async function reported(script: string, timeout = 20_000): Promise<string> {
    const dir = tempDir();
    writePlugin(dir, 'a', script);
    const cni = new CNI({ pluginDirs: [dir], cacheDir: tempDir(), timeout });
    const error: unknown = await cni.add(network(['a']), id, runtime).then(
      () => assert.fail('it succeeded'),
      (reason: unknown) => reason,
    );
    assert(error instanceof CNIError, String(error));
    return error.message;
  }

  it('is reported with all of its output, in one line', async () => {
    for (const [script, message] of [
      [`printf %s '{"code":7,"msg":"bad","details":"very\\nbad"}'; exit 1`, 'CNI plugin a: bad; very bad (code 7)'],
      [`echo '{"code":7,"msg":"","details":"only this"}'; exit 1`, 'CNI plugin a: only this (code 7)'],
      [`echo nonsense; echo one >&2; echo two >&2; exit 3`, 'CNI plugin a: two; exit code 3 (code 999)'],
      [`echo '["no"]'; exit 3`, 'CNI plugin a: ADD failed without output; exit code 3 (code 999)'],
      ['kill -9 $$', 'CNI plugin a: ADD failed without output; ended by SIGKILL (code 999)'],
      ['echo "{"', 'CNI plugin a: its answer to ADD is not a JSON object: "{\\n" (code 6)'],
      ['true', 'CNI plugin a: its answer to ADD is not a JSON object: it is empty (code 6)'],
      [`echo '{"ips":7}'`, 'CNI plugin a: ips in its result is not a list of objects with address (code 6)'],
    ] as const) {
      assert.equal(await reported(script), message);
    }
  });

  it('that is not a program is reported', async () => {
    const dir = tempDir();
    writeFileSync(join(dir, 'a'), '#!/nonexistent\n');
    chmodSync(join(dir, 'a'), 0o755);
    const cni = new CNI({ pluginDirs: [dir], cacheDir: tempDir() });
    await assert.rejects(cni.add(network(['a']), id, runtime), fails(5, /^CNI plugin a: cannot be run: .*ENOENT/));
    await assert.rejects(
      cni.add(network(['a']), id, { ...runtime, netns: 'a\0b' }),
      fails(5, /^CNI plugin a: cannot be run: /),
    );
  });

  it('by not ending is ended, with all that it has started', async () => {
    const pids = join(tempDir(), 'pids');
    const script = `[ $CNI_COMMAND = DEL ] && exit 0; sleep 600 & echo $! > ${pids}; echo $$ >> ${pids}; wait`;
    assert.equal(await reported(script, 1500), 'CNI plugin a: ADD did not end within 1.5 s (code 999)');
    const started = readFileSync(pids, 'utf8').trim().split('\n').map(Number);
    assert.equal(started.length, 2);
    await waitFor(() => started.every((pid) => !isAlive(pid)), { what: 'the end of the plugin' });
  });
});

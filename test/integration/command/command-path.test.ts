import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binPath, run, tempDir } from '../../support/index.js';
import { runScript } from '../../support/stacks/rootless-run.js';

describe('the PATH of the command', () => {
  const bare = '/usr/bin:/bin';

  it('has the directories of servers after its own', async () => {
    const { stdout } = await runScript('echo "$PATH"', ['--net=none'], {
      env: { PATH: bare, ROOTLESS_NET_NODE: process.execPath },
    });
    assert.equal(stdout, `${bare}:/usr/local/sbin:/usr/sbin:/sbin\n`);
  });

  it('stays as it is if it has them, and under RootlessKit’s name', async () => {
    const whole = '/sbin:/usr/sbin:/usr/local/sbin:/bin';
    const env = (PATH: string) => ({ env: { PATH, ROOTLESS_NET_NODE: process.execPath } });
    assert.equal((await runScript('echo "$PATH"', ['--net=none'], env(whole))).stdout, `${whole}\n`);
    const kit = await run(binPath('rootlesskit'), ['sh', '-c', 'echo "$PATH"'], env(bare));
    assert.equal(kit.stdout, `${bare}\n`);
  });

  it('keeps its order: what is in a directory of the caller comes first', async () => {
    const own = tempDir();
    mkdirSync(join(own, 'bin'));
    writeFileSync(join(own, 'bin', 'nginx'), '#!/bin/sh\necho mine\n', { mode: 0o755 });
    const PATH = `${join(own, 'bin')}:${bare}`;
    const { stdout } = await run(binPath('rootless-run'), ['--net=none', '--', 'nginx'], {
      env: { PATH, ROOTLESS_NET_NODE: process.execPath },
    });
    assert.equal(stdout, 'mine\n');
  });
});

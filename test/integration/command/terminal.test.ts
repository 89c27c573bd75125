import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from '../../setup/machine/requirements.js';
import { binPath, run, tempDir } from '../../support/index.js';
import { runInTerminal } from '../../support/terminal.js';

const RED = '\x1b[31m';

describe('at a terminal', () => {
  it('headings and errors have colours, and nowhere else unless requested', async () => {
    const ls = [binPath('rootless-run'), 'ls'];
    const wrong = [binPath('rootless-run'), '--net=x', '--', 'true'];
    const env = { TERM: 'xterm' };
    assert.ok((await runInTerminal(wrong, [], { env })).output.startsWith(`rootless-run: ${RED}error:`));
    assert.ok(!(await runInTerminal(ls, [], { env: { ...env, NO_COLOR: '1' } })).output.includes('\x1b'));
    assert.ok(!(await run(ls[0] ?? '', ['ls'])).stdout.includes('\x1b'));
    const { stderr } = await run(wrong[0] ?? '', wrong.slice(1), { env: { FORCE_COLOR: '1' } });
    assert.ok(stderr.includes(RED), stderr);
    const doctor = await run(binPath('rootless-run'), ['doctor'], { env: { FORCE_COLOR: '1' } });
    assert.ok(doctor.stdout.includes('\x1b[32mok'), doctor.stdout);
  });

  it('what takes long is shown while it lasts, except with --quiet', async () => {
    const slow = join(tempDir(), 'slow-slirp4netns');
    const program = findProgram('slirp4netns');
    writeFileSync(slow, `#!/bin/sh\ncase $1 in --help|--version) ;; *) sleep 2.2 ;; esac\nexec ${program} "$@"\n`, {
      mode: 0o755,
    });
    const start = (...options: string[]) =>
      runInTerminal(
        [
          binPath('rootless-run'),
          '--net=slirp4netns',
          `--slirp4netns-binary=${slow}`,
          ...options,
          '--',
          'echo',
          'done',
        ],
        [],
        {
          env: { TERM: 'xterm' },
        },
      );
    const { output } = await start();
    assert.match(
      output.replaceAll('\x1b[K', '|'),
      /^rootless-run: starting with --net=slirp4netns … [1-9]\d* s\|[\s\S]*\|done\n$/,
    );
    assert.equal((await start('--quiet')).output, 'done\n');
  });

  it('--quiet leaves only warnings and errors', async () => {
    const args = ['--net=none', '-p', '127.0.0.2:0:80', '--', 'true'];
    assert.match((await run(binPath('rootless-run'), args)).stderr, /published 127\.0\.0\.2:/);
    assert.equal((await run(binPath('rootless-run'), ['-q', ...args])).stderr, '');
    const { code, stderr } = await run(binPath('rootless-run'), ['--quiet', '--debug', '--', 'true']);
    assert.deepEqual([code, stderr.includes('--quiet and --debug are mutually exclusive')], [125, true], stderr);
  });

  it('help leaves out what is accepted for compatibility, which still is', async () => {
    const { stdout } = await run(binPath('rootless-run'), ['--help']);
    assert.doesNotMatch(stdout, /compatibility|vpnkit|--reaper/);
    assert.equal((await run(binPath('rootless-run'), ['--net=none', '--reaper=true', '--', 'true'])).code, 0);
    assert.match((await run(binPath('rootlesskit'), ['--help'])).stdout, /--reaper/);
  });
});

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { run, start, startStack, tempDir, waitFor } from '../support/index.js';
import { pathWith, refuses, runScript, runWords } from '../support/rootless-run.js';

const mode = (path: string) => (statSync(path).mode & 0o7777).toString(8);

describe('a state directory that is given', () => {
  it('is taken from where we are, made with all above it, known in full, and removed at the end', async () => {
    const cwd = tempDir();
    const script = 'cd /; echo $ROOTLESSKIT_STATE_DIR; stat -c "%a %F" $ROOTLESSKIT_STATE_DIR';
    const { stdout, code } = await runScript(script, ['--net=none', '--state-dir=above/state'], { cwd });
    assert.deepEqual([stdout, code], [`${cwd}/above/state\n755 directory\n`, 0]);
    assert.deepEqual(readdirSync(join(cwd, 'above')), []);
  });

  it('may be there, and empty', async () => {
    const directory = join(tempDir(), 'state');
    mkdirSync(directory, { mode: 0o700 });
    const { code } = await runScript('test -S $ROOTLESSKIT_STATE_DIR/api.sock', [
      ...['--net=none', `--state-dir=${directory}`],
    ]);
    assert.equal(code, 0);
    assert.equal(existsSync(directory), false);
  });

  it('that was left behind is cleaned of what was in it', async () => {
    const directory = join(tempDir(), 'state');
    mkdirSync(join(directory, 'below'), { recursive: true });
    for (const name of ['lock', 'child_pid', 'api.sock', 'below/file']) {
      writeFileSync(join(directory, name), '1', { mode: name === 'child_pid' ? 0o444 : 0o644 });
    }
    await using stack = await startStack({ stateDir: directory });
    assert.deepEqual(readdirSync(directory).sort(), ['api.sock', 'child_pid', 'hosts', 'lock', 'resolv.conf']);
    assert.equal(readFileSync(join(directory, 'child_pid'), 'utf8'), String(stack.childPid));
  });

  it('without a name is refused, and what lies around is not touched', async () => {
    const cwd = tempDir();
    writeFileSync(join(cwd, 'precious'), '');
    await refuses(runWords('--state-dir=', '--net=none', 'true'), /--state-dir/, { cwd });
    assert.deepEqual(readdirSync(cwd), ['precious']);
  });

  it('is locked, and in shared mode as a whole, which keeps systemd-tmpfiles off', async () => {
    await using stack = await startStack();
    const locked = async (how: string, path: string) => (await run('flock', ['-n', how, path, 'true'])).code !== 0;
    assert.equal(await locked('-s', join(stack.stateDir, 'lock')), true);
    assert.equal(await locked('-x', stack.stateDir), true);
    assert.equal(await locked('-s', stack.stateDir), false);
  });

  it('belongs to one of two that start at once', async () => {
    const stateDir = join(tempDir(), 'state');
    const args = ['--net=none', `--state-dir=${stateDir}`];
    const results = await Promise.all([1, 2, 3].map(() => runScript('sleep 1', args)));
    assert.deepEqual(results.map(({ code }) => code).sort(), [0, 1, 1]);
    for (const { code, stderr } of results) {
      if (code === 0) assert.equal(stderr, '');
      else assert.match(stderr, /^rootless-run: error: failed to lock .*state\/lock, another instance[^\n]*\n$/);
    }
  });
});

describe('a state directory with a long path', () => {
  it('is refused before anything is made where sockets would not fit in it', async () => {
    const above = tempDir();
    const long = join(above, 'x'.repeat(120 - above.length));
    await refuses(
      runWords('--net=none', `--state-dir=${long}`, 'true'),
      /too long.*UNIX sockets allow 107.*--state-dir/,
    );
    assert.deepEqual(readdirSync(above), []);
  });
});

describe('a temporary state directory', () => {
  it('is for the user alone, and known in full even if TMPDIR is not', async () => {
    const cwd = tempDir();
    mkdirSync(join(cwd, 'tmp'));
    const script = 'cd /; echo $ROOTLESSKIT_STATE_DIR; stat -c %a $ROOTLESSKIT_STATE_DIR';
    const { stdout } = await runScript(script, ['--net=none'], { cwd, env: { TMPDIR: 'tmp' } });
    const [path = '', permissions] = stdout.trim().split('\n');
    assert.match(basename(path), /^rootless-run-/);
    assert.equal(path, join(cwd, 'tmp', basename(path)));
    assert.equal(permissions, '700');
    assert.deepEqual(readdirSync(join(cwd, 'tmp')), []);
  });

  it('that cannot be made is told in a line that names TMPDIR', async () => {
    const directory = tempDir();
    mkdirSync(join(directory, 'closed'), { mode: 0o555 });
    for (const name of ['missing', 'closed']) {
      const env = { TMPDIR: join(directory, name) };
      await refuses(runWords('--net=none', 'true'), new RegExp(`${name}: .*TMPDIR`), { env });
    }
  });

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const) {
    it(`is removed when ${signal} ends the command`, async () => {
      const temporary = tempDir();
      const [program, ...args] = runWords('--net=none', 'sh', '-c', 'echo ready; exec sleep 1000');
      const started = await start(program, args, { env: { TMPDIR: temporary }, ready: { output: /ready/ } });
      assert.equal(readdirSync(temporary).length, 1);
      assert.equal(mode(temporary), '700');
      process.kill(started.pid, signal);
      assert.equal((await started.ended).code, 255);
      assert.equal(started.output(), `ready\nrootless-run: error: sh was ended by ${signal}\n`);
      assert.deepEqual(readdirSync(temporary), []);
    });
  }

  it('is removed by a signal at any moment of the start', async () => {
    const path = `${pathWith([], { newuidmap: 'exec sleep 1000' })}:${process.env.PATH}`;
    const temporary = tempDir();
    const [program, ...args] = runWords('--net=none', 'true');
    const started = await start(program, args, {
      env: { TMPDIR: temporary, PATH: path },
      ready: { check: () => readdirSync(temporary).length === 1 },
    });
    process.kill(started.pid, 'SIGTERM');
    const { code } = await started.ended;
    assert.equal(code, 255);
    await waitFor(() => readdirSync(temporary).length === 0);
  });
});

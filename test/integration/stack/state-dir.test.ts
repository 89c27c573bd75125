import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { basename, join } from 'node:path';
import { run, start, startStack, tempDir, waitFor } from '../../support/index.js';
import { pathWith, refuses, runScript, runWords } from '../../support/stacks/rootless-run.js';

const mode = (path: string) => (statSync(path).mode & 0o7777).toString(8);

describe('a state directory that is given', () => {
  it('is relative to the working directory, made with its parents, known by its full path, and removed at the end', async () => {
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
    const container = join('containers', 'a'.repeat(64), 'bundle');
    for (const name of [container, 'oci', 'namespaces']) mkdirSync(join(directory, name), { recursive: true });
    symlinkSync('/etc', join(directory, container, 'link'));
    // As of an earlier version.
    writeFileSync(join(directory, 'lock'), '');
    for (const name of ['child_pid', 'api.sock', join(container, 'file'), 'oci/file']) {
      writeFileSync(join(directory, name), '1', { mode: name === 'child_pid' ? 0o444 : 0o644 });
    }
    await using stack = await startStack({ stateDir: directory });
    assert.deepEqual(readdirSync(directory).sort(), ['api.sock', 'child_pid', 'hosts', 'lock', 'resolv.conf']);
    assert.equal(readFileSync(join(directory, 'child_pid'), 'utf8'), String(stack.childPid));
  });

  it('without a name, as from a variable that is not set, is a temporary one, and where we are is not touched', async () => {
    for (const precious of [[], ['precious'], ['lock']]) {
      const cwd = tempDir();
      for (const name of precious) writeFileSync(join(cwd, name), 'text');
      for (const words of [['--state-dir='], ['--state-dir', '']]) {
        const { stdout, code } = await runScript('echo $ROOTLESSKIT_STATE_DIR', ['--net=none', ...words], { cwd });
        assert.match(stdout, /^\/.*\/rootless-run-\w+\n$/);
        assert.equal(code, 0);
        assert.deepEqual(readdirSync(cwd), precious);
      }
    }
  });

  it('with a file "lock" and something that no stack makes is refused, and nothing in it is touched', async () => {
    const directory = tempDir();
    const config = join(directory, '.config');
    const write = (name: string) => writeFileSync(join(directory, name), 'text');
    for (const [name, make] of [
      ['thesis.txt', () => write('thesis.txt')],
      ['.config', () => mkdirSync(config)],
      ['hosts', () => symlinkSync('/etc/hosts', join(directory, 'hosts'))],
      ['containers', () => write('containers')],
      ['api.sock', () => mkdirSync(join(directory, 'api.sock'))],
      ['containers/photos', () => mkdirSync(join(directory, 'containers/photos'), { recursive: true })],
      ['namespaces/photos', () => mkdirSync(join(directory, 'namespaces/photos'), { recursive: true })],
      ['namespaces/notes', () => mkdirSync(join(directory, 'namespaces')) ?? write('namespaces/notes')],
    ] as const) {
      write('lock');
      make();
      await refuses(
        runWords('--net=none', `--state-dir=${directory}`, 'true'),
        new RegExp(`is not a state directory: no stack makes ${name.replace('.', '\\.')}; .*--state-dir`),
      );
      assert.deepEqual(readdirSync(directory).sort(), ['lock', name.replace(/\/.*/, '')].sort());
      assert.equal(readFileSync(join(directory, 'lock'), 'utf8'), 'text');
      for (const left of readdirSync(directory)) rmSync(join(directory, left), { recursive: true });
    }
  });

  it('whose file "lock" is not that of a stack is refused, and it is not touched', async () => {
    const directory = tempDir();
    writeFileSync(join(directory, 'lock'), 'text');
    await refuses(
      runWords('--net=none', `--state-dir=${directory}`, 'true'),
      /is not a state directory: its file "lock" is not that of a stack; .*--state-dir/,
    );
    assert.equal(readFileSync(join(directory, 'lock'), 'utf8'), 'text');
  });

  it('is left with files that appeared meanwhile, and this is reported', async () => {
    const directory = join(tempDir(), 'state');
    const script = 'echo text >$ROOTLESSKIT_STATE_DIR/notes';
    const { stderr, code } = await runScript(script, ['--net=none', `--state-dir=${directory}`]);
    assert.match(
      stderr,
      /^rootless-run: warning: [^\n]*state is not removed: it has entries that a stack does not create: notes\n$/,
    );
    assert.equal(code, 0);
    assert.deepEqual(readdirSync(directory), ['notes']);
  });

  it('that is moved and replaced while the stack runs is removed where it is now, and the other one is not touched', async () => {
    const above = tempDir();
    const directory = join(above, 'state');
    const script = 'cd / && mv $0 $0.moved && mkdir $0 && cd $0 && touch lock api.sock child_pid precious';
    const { stderr, code } = await runScript(
      `set -e; set -- "$ROOTLESSKIT_STATE_DIR"; ${script.replaceAll('$0', '"$1"')}`,
      [...['--net=none', `--state-dir=${directory}`]],
    );
    assert.deepEqual([stderr, code], ['', 0]);
    assert.deepEqual(readdirSync(above), ['state']);
    assert.deepEqual(readdirSync(directory).sort(), ['api.sock', 'child_pid', 'lock', 'precious']);
  });

  it('has to be the directory itself, not a link to it', async () => {
    const above = tempDir();
    mkdirSync(join(above, 'real'));
    symlinkSync('real', join(above, 'link'));
    await refuses(runWords('--net=none', `--state-dir=${above}/link`, 'true'), /link: it is a symbolic link; name the/);
    assert.deepEqual(readdirSync(above).sort(), ['link', 'real']);
  });

  it('that other users may write to is refused, with a hint', async () => {
    for (const permissions of [0o777, 0o770, 0o1777]) {
      const directory = join(tempDir(), 'state');
      mkdirSync(directory);
      chmodSync(directory, permissions);
      await refuses(
        runWords('--net=none', `--state-dir=${directory}`, 'true'),
        new RegExp(`others may write to it \\(mode ${permissions.toString(8).padStart(4, '0')}\\); hint: chmod go-w`),
      );
      assert.deepEqual(readdirSync(directory), []);
    }
  });

  it('of another user is refused', async () => {
    await refuses(
      runWords('--net=none', '--state-dir=/var', 'true'),
      /\/var: it belongs to uid 0, not to you \(uid \d+\)/,
    );
  });

  it('has a lock that is an own file, and is neither followed nor emptied', async () => {
    const directory = tempDir();
    const lock = join(directory, 'lock');
    const precious = join(tempDir(), 'precious');
    const words = runWords('--net=none', `--state-dir=${directory}`, 'true');
    writeFileSync(precious, 'text');
    symlinkSync(precious, lock);
    await refuses(words, /lock as the lock of a state directory: it is a symbolic link/);
    rmSync(lock);
    linkSync(precious, lock);
    await refuses(words, /lock as the lock of a state directory: it has more than one name/);
    rmSync(lock);
    await run('mkfifo', [lock]);
    await refuses(words, /lock as the lock of a state directory: it is not a regular file/);
    assert.equal(readFileSync(precious, 'utf8'), 'text');
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
    assert.deepEqual(results.map(({ code }) => code).sort(), [0, 125, 125]);
    for (const { code, stderr } of results) {
      if (code === 0) assert.equal(stderr, '');
      else assert.match(stderr, /^rootless-run: error: failed to lock .*state\/lock, another instance[^\n]*\n$/);
    }
  });
});

describe('a state directory with a long path', () => {
  it('is refused before anything is created where sockets would not fit in it', async () => {
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

  it('that cannot be created is reported in a line that names TMPDIR', async () => {
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
      assert.equal((await started.ended).code, 128 + constants.signals[signal]);
      assert.equal(started.output(), 'ready\n');
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
    assert.equal(code, 128 + constants.signals.SIGTERM);
    await waitFor(() => readdirSync(temporary).length === 0);
  });
});

// Directories that cannot be written to, and disks that are full: what a user sees of them.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binPath, run, tempDir } from '../../support/index.js';
import { refuses, runNested, runWords } from '../../support/stacks/rootless-run.js';

const OURS = /^(error|rootless-run: (error|warning)): [^\n]+\n$/;
/** Belongs to root, as every user finds it. */
const OF_ROOT = '/var';

/** Directories of a user who has none yet. */
function surroundings(changes: Record<string, string> = {}): Record<string, string> {
  const home = tempDir();
  mkdirSync(join(home, 'run'), { mode: 0o700 });
  return {
    HOME: home,
    XDG_RUNTIME_DIR: join(home, 'run'),
    XDG_DATA_HOME: join(home, 'data'),
    XDG_CONFIG_HOME: join(home, 'config'),
    XDG_STATE_HOME: join(home, 'state'),
    ...changes,
  };
}

/** Runs rootless-net where it has to start the stack for it. */
async function rootlessNet(env: Record<string, string>, ...args: string[]) {
  return run(binPath('rootless-net'), args, { env });
}

describe('a directory of the user that cannot be used', () => {
  it('for the log of the stack is reported in one line, with its path and owner', async () => {
    const { code, stdout, stderr } = await rootlessNet(
      surroundings({ XDG_STATE_HOME: OF_ROOT }),
      'network',
      'create',
      'x',
    );
    assert.match(
      stderr,
      /^error: cannot make the directory \/var\/rootless-net: permission denied; hint: \/var belongs to uid 0, you are uid \d+\n$/,
    );
    assert.deepEqual([code, stdout], [1, '']);
  });

  it('is reported for another file in its place, and for a name that is too long', async () => {
    const directory = tempDir();
    writeFileSync(join(directory, 'file'), '');
    for (const [path, expected] of [
      [join(directory, 'file'), /file\/rootless-net: a part of the path is not a directory$/m],
      [join(directory, 'x'.repeat(300)), /x: the name is too long$|x\/rootless-net: the name is too long$/m],
    ] as const) {
      const { code, stderr } = await rootlessNet(surroundings({ XDG_STATE_HOME: path }), 'network', 'create', 'x');
      assert.match(stderr, expected);
      assert.match(stderr, OURS);
      assert.equal(code, 1);
    }
  });

  it('is not written to through a link', async () => {
    const env = surroundings();
    const precious = join(env.HOME ?? '', 'precious');
    writeFileSync(precious, 'text');
    mkdirSync(join(env.XDG_STATE_HOME ?? '', 'rootless-net'), { recursive: true });
    symlinkSync(precious, join(env.XDG_STATE_HOME ?? '', 'rootless-net', 'start.lock'));
    const { code, stderr } = await rootlessNet(env, 'network', 'create', 'x');
    assert.match(stderr, /^error: cannot open .*start\.lock: it is a symbolic link, or one of too many\n$/);
    assert.equal(code, 1);
  });

  const serving = (options: string) => `
    "$@" serve --net=none ${options} 2>$HOME/log & serve=$!
    until [ -S $XDG_RUNTIME_DIR/rootless-net/api.sock ]; do sleep 0.05; kill -0 $serve; done`;
  /** Runs a script with a stack that serves: `net` and `ctl` are rootless-net and rootlessctl on it. */
  const withStack = (env: Record<string, string>, script: string, before = '') => {
    const words = [binPath('rootless-run')];
    const tools = `
      net() { ${binPath('rootless-net')} "$@"; }
      ctl() { ${binPath('rootlessctl')} --socket=$XDG_RUNTIME_DIR/rootless-net/api.sock "$@"; }
      ask() { curl -s -o $HOME/answer -w '%{http_code} ' --unix-socket $XDG_RUNTIME_DIR/rootless-net/api.sock "http://stack/v1/$1"; cat $HOME/answer; }`;
    const end = 'kill $serve; wait $serve && echo "ended 0"; cat $HOME/log';
    return runNested(`${before}\n${tools}\n${serving('')}\n${script}\n${end}`, words, { env });
  };

  it('for containers leaves the stack running, and is the error of requests for one', async () => {
    // Root of the namespace is this user: no other user's directory is writable.
    const script = 'net network create x 2>&1 || echo "code $?"; ask containers; ctl list-ports >/dev/null';
    const { stdout } = await withStack(surroundings({ XDG_DATA_HOME: OF_ROOT }), script);
    const [printed, code, answer, ended, log, ...more] = stdout.trim().split('\n');
    const reason =
      /cannot make the directory \/var\/rootless-net: permission denied; hint: \/var belongs to (uid \d+|another user of the host)/;
    assert.match(printed ?? '', reason);
    assert.equal(code, 'code 1');
    assert.match(answer ?? '', /^503 \{"message":"/);
    assert.match(answer ?? '', reason);
    assert.equal(ended, 'ended 0');
    assert.match([log, ...more].join('\n'), reason);
    assert.doesNotMatch(stdout, /internal error|\n {4}at /);
  });

  it('for persistent ports is the error of a request for one, and the port is not added', async () => {
    const script = 'ctl add-ports --persist 127.0.0.9:0:80 2>&1 || echo "code $?"; ctl list-ports';
    const { stdout } = await withStack(surroundings({ XDG_CONFIG_HOME: OF_ROOT }), script);
    assert.match(
      stdout,
      /^error: .*cannot write the persistent ports to \/var\/rootless-net\/ports\.json: permission denied; hint: [^\n]*\ncode 1\nID [^\n]*\nended 0\n/,
    );
    assert.doesNotMatch(stdout, /internal error|\n {4}at /);
  });

  it('that is full is answered with 507 and the file, and what runs continues', async () => {
    const env = surroundings();
    const before = 'mkdir $XDG_DATA_HOME; mount -t tmpfs -o size=256k,nr_inodes=200 none $XDG_DATA_HOME';
    const script = `
      net ps >/dev/null
      mkdir $HOME/rootfs
      cat /dev/zero > $XDG_DATA_HOME/filler 2>/dev/null || true
      net create --name one --rootfs $HOME/rootfs -- true 2>&1 || echo "code $?"
      curl -s -o /dev/null -w '%{http_code}\\n' --unix-socket $XDG_RUNTIME_DIR/rootless-net/api.sock -H 'Content-Type: application/json' \\
        -d "{\\"rootfs\\":\\"$HOME/rootfs\\",\\"command\\":[\\"true\\"]}" http://stack/v1/containers
      rm $XDG_DATA_HOME/filler
      net create --name one --rootfs $HOME/rootfs -- true >/dev/null
      net ps -a --format '{{.Names}}' | grep -cx one || true`;
    const { stdout, stderr } = await withStack(env, script, before);
    const [printed, code, status, count, ended, ...log] = stdout.trim().split('\n');
    assert.match(
      printed ?? '',
      /^error: cannot (write|make|replace) .*\/data\/rootless-net\/.*: no space is left on its file system/,
    );
    assert.deepEqual([code, status, count, ended], ['code 1', '507', '1', 'ended 0'], `${stdout}${stderr}`);
    assert.doesNotMatch(log.join('\n'), /internal error|\n {4}at /);
  });
});

describe('a state directory on a disk', () => {
  const start = 'exec "$@" --net=none --state-dir=$HOME/disk/state true';
  const disk = (options: string, prepare = '') =>
    `mkdir $HOME/disk; mount -t tmpfs ${options} none $HOME/disk; ${prepare}`;
  const words = [binPath('rootless-run')];

  for (const [what, mounted, reason] of [
    ['that has no room for one more file', disk('-o nr_inodes=2'), 'no space is left on its file system'],
    ['that has room for the directory only', disk('-o nr_inodes=3', 'touch $HOME/disk/one; rm $HOME/disk/one'), ''],
    ['that is read-only', disk('-o ro'), 'its file system is read-only'],
  ] as const) {
    it(`${what} is reported in one line, and nothing is left there`, async () => {
      const env = surroundings();
      const { code, stderr, stdout } = await runNested(
        `${mounted}\n( ${start} ) || code=$?; ls -A $HOME/disk; exit \${code:-0}`,
        words,
        { env },
      );
      assert.match(stderr, OURS);
      if (reason !== '') assert.match(stderr, new RegExp(`disk/state: .*${reason}`));
      assert.doesNotMatch(stderr, /internal error/);
      assert.deepEqual([code, stdout], [125, '']);
    });
  }

  it('that is full for the files in it ends the start in one line', async () => {
    const fill = 'cat /dev/zero > $HOME/disk/filler 2>/dev/null || true';
    const env = surroundings();
    const { code, stderr } = await runNested(
      `${disk('-o size=64k', fill)}\n${start.replace('none', 'slirp4netns')}`,
      words,
      { env },
    );
    assert.match(stderr, /disk\/state\/(lock|hosts|resolv\.conf|child_pid): no space is left on its file system/);
    assert.match(stderr, OURS);
    assert.equal(code, 125);
  });
});

describe('a limit of open files', () => {
  it('that is too low ends in one line, or does not matter', async () => {
    for (let limit = 24; limit <= 40; limit += 2) {
      const temporary = tempDir();
      const [program, ...args] = runWords('--net=none', '-p', '127.0.0.9:0:80', 'true');
      const { code, stderr } = await run('prlimit', [`--nofile=${limit}:${limit}`, program, ...args], {
        env: { TMPDIR: temporary },
      });
      // Node itself, where not even that has enough.
      if (code !== null && code < 128 && !/^node:/.test(stderr)) {
        assert.doesNotMatch(stderr, /internal error|\n {4}at /, `${limit}: ${stderr}`);
        if (code !== 0) assert.match(stderr, /^rootless-run: error: [^\n]*\n$/m, `${limit}: ${stderr}`);
      }
      assert.deepEqual(readdirSync(temporary), [], `${limit}`);
    }
  });
});

describe('a standard output that cannot be written to', () => {
  it('ends in one line', async () => {
    for (const words of [
      [binPath('rootless-net'), '--help'],
      [binPath('rootlessctl'), '--help'],
      [binPath('rootless-run'), '--help'],
      [binPath('rootless-run'), 'doctor'],
    ]) {
      const { code, stderr } = await run('sh', ['-c', '"$@" >/dev/full', 'sh', ...words]);
      assert.equal(stderr, 'error: cannot write to standard output: no space is left on its file system\n');
      assert.equal(code, 1, words.join(' '));
    }
  });

  it('is given up silently if its reader has gone', async () => {
    for (const words of ['--help', 'doctor']) {
      const script = `"$@" ${words} | true`;
      const { stderr } = await run('sh', ['-c', script, 'sh', binPath('rootless-run')]);
      assert.equal(stderr, '');
    }
  });
});

describe('a state directory that cannot be created', () => {
  it('is reported with the reason', async () => {
    const directory = tempDir();
    await refuses(runWords('--net=none', `--state-dir=${OF_ROOT}/state`, 'true'), /\/var\/state: permission denied/);
    await refuses(
      runWords('--net=none', `--state-dir=${directory}/${'x'.repeat(1000)}`, 'true'),
      /too long for sockets/,
    );
  });
});

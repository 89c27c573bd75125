/** What reaches the command of what the caller gives, and what Node would have kept, lost or obeyed. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  binPath,
  isAlive,
  processTree,
  type RunResult,
  run,
  start,
  startStack,
  tempDir,
  waitFor,
} from '../../support/index.js';

const bare = ['--net=none', '--'];

const viaFront = (words: readonly string[], options: Parameters<typeof run>[2] = {}) =>
  run(binPath('rootless-run'), [...bare, ...words], options);

/** Runs a bash script, in which "$@" starts a command by rootless-run. */
const fromBash = (script: string, words: readonly string[] = bare) =>
  run('bash', ['-c', script, 'bash', binPath('rootless-run'), ...words]);

const ok = ({ code, stderr, stdout }: RunResult, expected?: string) => {
  assert.deepEqual([stderr, code], ['', 0]);
  if (expected !== undefined) assert.equal(stdout, expected);
};

describe('the native front: the arguments of a command', () => {
  const words = [
    '--env-file=/nonexistent',
    ...['--env-file', '/nonexistent', '--env-file-if-exists=/nonexistent'],
    ...['--experimental-config-file=/nonexistent', '--experimental-config-file', '/nonexistent'],
    ...[
      '--experimental-default-config-file',
      '--inspect',
      '--inspect-brk=0',
      '-r',
      'x',
      '--require=x',
      '--import',
      'x',
    ],
    ...['-e', '1', '-p', '--eval', '--prof', '--v8-options', '--version', '--help', '-v', '--title=x', '--test'],
    ...['', '-', '--', 'a b', "'", '"', '\n', '\\', '$HOME', '*', 'é', '☃', '😀'],
  ];
  for (const [name, before] of [
    ['rootlesskit', []],
    ['rootless-run', bare],
  ] as const) {
    it(`are not read by Node (${name})`, async () => {
      ok(await run(binPath(name), [...before, 'printf', '%s|', ...words]), words.map((word) => `${word}|`).join(''));
    });
  }

  it('of our own are not, either: an option of Node is an unknown one', async () => {
    for (const name of ['rootless-run', 'rootlesskit', 'rootlessctl', 'rootless-net'] as const) {
      for (const option of ['--env-file=/nonexistent', '--experimental-config-file=/nonexistent', '--inspect']) {
        const { stdout, stderr, code } = await run(binPath(name), [option, 'info']);
        assert.match(stdout + stderr, /unknown option|Incorrect Usage|flag provided but not defined/i, name);
        assert.doesNotMatch(stderr, /node:|Debugger/);
        assert.notEqual(code, 0);
      }
    }
  });

  it('and its environment need not be UTF-8', async () => {
    const script =
      'word=$(printf "a\\377\\303b\\355\\240\\200"); V=$word exec "$@" sh -c \'printf "%s.%s" "$1" "$V" | od -An -v -tx1\' sh "$word"';
    const { stdout, stderr, code } = await fromBash(script);
    const bytes = '61 ff c3 62 ed a0 80';
    assert.deepEqual([stdout.trim().replaceAll(/\s+/g, ' '), stderr, code], [`${bytes} 2e ${bytes}`, '', 0]);
  });

  it('may be many, and long', async () => {
    const many = Array.from({ length: 15_000 }, (_, index) => `${index}`.padEnd(100, '.'));
    ok(await viaFront(['sh', '-c', 'echo $#; shift 14999; echo "$1"', 'sh', ...many]), `15000\n${many.at(-1)}\n`);
    const long = 'x'.repeat(128 * 1024 - 1);
    ok(await viaFront(['sh', '-c', 'printf %s "$1" | wc -c', 'sh', long]), `${long.length}\n`);
  });

  it('that are too long with what is added to the environment are refused in one line', async () => {
    // Two MiB in all, where the stack has eight (execve(2)): as many as the front itself can be started with.
    const words = (count: number) => Array.from({ length: count }, () => 'x');
    const attempt = (count: number) =>
      spawnSync(
        'prlimit',
        ['--stack=8388608', binPath('rootless-run'), ...bare, 'sh', '-c', 'echo $#', 'sh', ...words(count)],
        { encoding: 'utf8', env: { PATH: process.env.PATH, ROOTLESS_NET_NODE: process.execPath, TMPDIR: tempDir() } },
      );
    let [fits, tooMany] = [1, 220_000];
    while (tooMany - fits > 1) {
      const middle = Math.floor((fits + tooMany) / 2);
      // The kernel counts before it looks whether the program is there.
      const { error } = spawnSync('prlimit', ['--stack=8388608', 'true', ...words(middle)], {
        env: { PATH: process.env.PATH },
      });
      if (error) tooMany = middle;
      else fits = middle;
    }
    for (const count of [fits - 100, fits - 40, fits - 20]) {
      const { stdout, stderr, status, error } = attempt(count);
      if (error) continue;
      if (status === 0) assert.equal(stdout, `${count}\n`);
      else
        assert.match(
          stderr,
          /^(rootless-run: error: cannot execute sh: its arguments are too long|prlimit: .*too long)\n$/,
        );
    }
  });
});

describe('the native front: the environment of the caller', () => {
  const preload = (directory: string) => {
    const file = join(directory, 'preload.cjs');
    writeFileSync(
      file,
      `require('node:fs').appendFileSync(${JSON.stringify(join(directory, 'ran'))}, process.pid + '\\n');`,
    );
    return `--require=${file}`;
  };

  it('is kept for the command and not obeyed by Node', async () => {
    const directory = tempDir();
    const variables: Record<string, string> = {
      NODE_OPTIONS: preload(directory),
      NODE_PATH: directory,
      NODE_DEBUG: 'net,http,fs,module',
      NODE_DEBUG_NATIVE: 'worker',
      NODE_V8_COVERAGE: join(directory, 'coverage'),
      NODE_COMPILE_CACHE: join(directory, 'compiled'),
      NODE_REDIRECT_WARNINGS: join(directory, 'warnings'),
      NODE_CHANNEL_FD: '3',
      NODE_CHANNEL_SERIALIZATION_MODE: 'json',
      NODE_UNIQUE_ID: '1',
      NODE_EXTRA_CA_CERTS: '/nonexistent',
      NODE_ICU_DATA: '/nonexistent',
      NODE_PENDING_DEPRECATION: '1',
      NODE_PRESERVE_SYMLINKS: '1',
      NODE_PRESERVE_SYMLINKS_MAIN: '1',
      NODE_TLS_REJECT_UNAUTHORIZED: '0',
      NODE_REPL_EXTERNAL_MODULE: '/nonexistent',
      NODE_TEST_CONTEXT: 'child-v8',
      NODE_USE_SYSTEM_CA: '1',
      OPENSSL_CONF: '/nonexistent',
      OPENSSL_MODULES: '/nonexistent',
      SSL_CERT_FILE: '/nonexistent',
      UV_THREADPOOL_SIZE: 'none',
      UV_USE_IO_URING: '1',
      WATCH_REPORT_DEPENDENCIES: '1',
    };
    const { stdout, stderr, code } = await viaFront(['env'], { env: variables });
    assert.deepEqual([stderr, code], ['', 0]);
    const lines = stdout.split('\n');
    for (const [name, value] of Object.entries(variables)) assert(lines.includes(`${name}=${value}`), name);
    assert.deepEqual(readdirSync(directory), ['preload.cjs']);
    assert(!lines.some((line) => line.startsWith('ROOTLESS_NET_FRONT')), 'no variable of this program');
  });

  it('is not obeyed by the agent', async () => {
    const directory = tempDir();
    await using stack = await startStack({
      publish: ['127.0.0.2:0:80'],
      env: { NODE_OPTIONS: preload(directory), OPENSSL_CONF: '/nonexistent' },
    });
    const agent = await waitFor(() => stack.below('child/agent.js').find(({ comm }) => comm !== 'launcher'));
    assert.doesNotMatch(readFileSync(`/proc/${agent.pid}/environ`, 'utf8'), /(^|\0)(NODE_|OPENSSL_)/);
    assert.deepEqual(readdirSync(directory), ['preload.cjs']);
  });

  it('has ROOTLESS_NET_NODE_OPTIONS for those who want to give options to our Node', async () => {
    const directory = tempDir();
    const env = { ROOTLESS_NET_NODE_OPTIONS: preload(directory), NODE_OPTIONS: '--bogus' };
    ok(await viaFront(['sh', '-c', 'echo "$NODE_OPTIONS"'], { env }), '--bogus\n');
    assert(existsSync(join(directory, 'ran')));
  });
});

describe('the native front: Node.js', () => {
  it('is the first in PATH, then the one that the package was installed with', async () => {
    const env = { ROOTLESS_NET_NODE: undefined, PATH: tempDir() };
    const recorded = await run(binPath('rootlessctl'), ['--version'], { env });
    assert.deepEqual([recorded.stderr, recorded.code], ['', 0]);
    writeFileSync(join(env.PATH, 'node'), '#!/bin/sh\necho "$@"\n', { mode: 0o755 });
    const found = await run(binPath('rootlessctl'), ['--version', '--inspect'], { env });
    assert.deepEqual([found.stdout, found.stderr], [`${binPath('rootlessctl')}.cjs\n`, '']);
  });

  it('that is named and does not exist is reported in one line', async () => {
    for (const node of ['/nonexistent', '/etc/passwd', '/']) {
      const { stdout, stderr, code } = await viaFront(['true'], { env: { ROOTLESS_NET_NODE: node } });
      const expected = `rootless-run: error: cannot execute the Node.js that ROOTLESS_NET_NODE names: ${node}\n`;
      assert.deepEqual([stdout, stderr, code], ['', expected, 125]);
    }
  });

  const unshared = '[ "$(readlink /proc/$launcher/ns/user)" != $own ]';
  /** Options, until when the stand-in for Node waits, and the map of user ids that it then finds, unless they may choose another. */
  const earlyMaps: [options: string[], until: string, map: RegExp][] = [
    [['--net=none'], `${unshared} && [ -n "$(cat /proc/$launcher/uid_map)" ]`, /^\s+0 .*\n\s+1 /],
    [['--net=none', '--subid-source=static'], unshared, /^$/],
  ];
  for (const [options, until, map] of earlyMaps) {
    it(`finds the ids mapped where they can be, and the launcher ends with it (${options.join(' ')})`, async () => {
      const directory = tempDir();
      const script = `#!/bin/sh
read -r launcher _ < /proc/$$/task/$$/children
own=$(readlink /proc/$$/ns/user)
echo $launcher > ${directory}/launcher
until ${until}; do kill -0 $launcher || exit 1; done
cat /proc/$launcher/uid_map
exit 7
`;
      writeFileSync(join(directory, 'node'), script, { mode: 0o755 });
      const env = { ROOTLESS_NET_NODE: join(directory, 'node') };
      const { stdout, stderr, code } = await run(binPath('rootless-run'), [...options, '--', 'true'], { env });
      assert.deepEqual([stderr, code], ['', 7]);
      assert.match(stdout, map);
      const launcher = Number(readFileSync(join(directory, 'launcher'), 'utf8'));
      await waitFor(() => !isAlive(launcher), { what: 'the end of the launcher' });
    });
  }

  it('keeps the pid, and shows the name and the command line of the caller', async () => {
    const words = [binPath('rootlesskit'), '--net=none', 'sh', '-c', 'echo ready; exec sleep infinity', ''];
    const [program = '', ...args] = words;
    await using started = await start(program, args, { ready: { output: /ready/ } });
    const pid = String(started.pid);
    const shown = Buffer.from(words.map((word) => `${word}\0`).join(''));
    await waitFor(() => readFileSync(`/proc/${pid}/cmdline`).equals(shown), { what: 'the command line' });
    assert.equal(readFileSync(`/proc/${pid}/comm`, 'utf8'), 'rootlesskit\n');
    for (const [pidof, ...first] of [['pidof'], ['busybox', 'pidof']]) {
      const { stdout } = await run(pidof ?? '', [...first, 'rootlesskit']);
      assert.equal(stdout, `${pid}\n`, pidof);
    }
  });
});

describe('the native front: signals', () => {
  /** Of the process that looks: the lines SigBlk and SigIgn of /proc/self/status. */
  const look = ['grep', '-E', '^Sig(Blk|Ign)', '/proc/self/status'];
  const ways: Record<string, string[]> = {
    'one by one': ['--ignore-signal=HUP,USR1,TSTP,CHLD,PIPE'],
    'all of them': ['--ignore-signal'],
    'all of them blocked': ['--block-signal'],
    'some blocked, some ignored': ['--block-signal=TERM,USR2', '--ignore-signal=INT,QUIT'],
    none: ['--default-signal'],
  };
  for (const [name, options] of Object.entries(ways)) {
    it(`that are ignored or blocked are so for the command (${name})`, async () => {
      const direct = await run('env', [...options, ...look]);
      const ours = await run('env', [...options, binPath('rootless-run'), ...bare, ...look]);
      ok(ours, direct.stdout);
    });
  }

  it('that are ignored by a job in the background of a script are for the command', async () => {
    const looking = look.map((word) => `'${word}'`).join(' ');
    const direct = await run('sh', ['-c', `${looking} & wait`]);
    const script = `"$@" ${looking} & wait`;
    ok(await run('sh', ['-c', script, 'sh', binPath('rootless-run'), ...bare]), direct.stdout);
    assert.match(direct.stdout, /^SigIgn:\t0*6$/m);
  });

  for (const [name, wrapper, ignored] of [
    ['nohup', ['nohup'], ['SIGHUP']],
    ["trap ''", ['sh', '-c', `trap '' TERM INT HUP; exec "$@"`, 'sh'], ['SIGTERM', 'SIGINT', 'SIGHUP']],
  ] as const) {
    it(`that are ignored end neither rootless-run nor the command (${name})`, async () => {
      const script = `trap 'echo got USR1; exit 7' USR1; trap 'echo got HUP' HUP; echo ready; while :; do sleep 0.05; done`;
      const [program = '', ...args] = [...wrapper, binPath('rootless-run'), ...bare, 'sh', '-c', script];
      const started = await start(program, args, { ready: { output: /ready/ } });
      for (const signal of ignored) process.kill(started.pid, signal);
      // Signals are delivered in the order of their numbers; this one is behind those.
      process.kill(started.pid, 'SIGUSR1');
      assert.equal((await started.ended).code, 7);
      assert.match(started.output(), /ready\ngot USR1\n$/);
    });
  }

  it('that are ignored do not end a service that a script has started in the background', async () => {
    const stateDir = join(tempDir(), 'state');
    const wrapper = ['sh', '-c', `trap '' INT HUP; exec "$@"`, 'sh', binPath('rootless-run'), 'serve', '--net=none'];
    const [program = '', ...args] = [...wrapper, `--state-dir=${stateDir}`];
    const started = await start(program, args, {
      ready: { check: () => existsSync(join(stateDir, 'api.sock')) },
      env: { XDG_CONFIG_HOME: tempDir(), XDG_DATA_HOME: tempDir() },
    });
    for (const signal of ['SIGINT', 'SIGHUP'] as const) process.kill(started.pid, signal);
    const { stdout } = await run(binPath('rootlessctl'), [`--socket=${stateDir}/api.sock`, 'list-ports']);
    assert.match(stdout, /PORT/i);
    assert(isAlive(started.pid));
    assert.equal((await started.stop()).code, 0);
  });
});

describe('the native front: the limit of open files', () => {
  it("is the caller's for the command, and the hard one for the relay", async () => {
    await using stack = await startStack({
      wrapper: ['prlimit', '--nofile=1024:20000'],
      command: ['sh', '-c', 'ulimit -Sn; ulimit -Hn; exec sleep infinity'],
    });
    await waitFor(() => stack.started.output().split('\n').length >= 3);
    assert.equal(stack.started.output(), '1024\n20000\n');
    assert.match(readFileSync(`/proc/${stack.started.pid}/limits`, 'utf8'), /^Max open files +20000 +20000 /m);
  });
});

describe('the native front: descriptors of the caller', () => {
  const descriptorsOf = (pid: number) =>
    readable(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return [[fd, readlinkSync(`/proc/${pid}/fd/${fd}`)] as const];
      } catch {
        return [];
      }
    });
  /** pasta keeps others from looking; for it there is the test of the end of a pipe. */
  const readable = (directory: string) => {
    try {
      return readdirSync(directory);
    } catch {
      return [];
    }
  };

  for (const args of [['--net=none'], ['--net=slirp4netns'], ['--net=pasta'], ['--net=none', '--pidns']]) {
    it(`are the command's, under their numbers, and no others (${args.join(' ')})`, async () => {
      const directory = tempDir();
      const numbers = ['3', '4', '7', '17', '18', '99', '200'];
      const open = numbers.map((number) => `${number}>${directory}/${number}`).join(' ');
      await using stack = await startStack({
        args,
        publish: ['127.0.0.2:0:80'],
        wrapper: ['bash', '-c', `exec ${open}; exec "$@"`, 'bash'],
        command: ['sleep', 'infinity'],
      });
      const agent = await waitFor(() => stack.below('child/agent.js').find(({ comm }) => comm !== 'launcher'));
      assert(agent);
      for (const { pid, args: words } of processTree(stack.started.pid)) {
        const theirs = descriptorsOf(pid).filter(([, target]) => target.startsWith(`${directory}/`));
        const expected = words[0] === 'sleep' ? numbers.map((number) => [number, join(directory, number)]) : [];
        assert.deepEqual(
          theirs.sort(([a], [b]) => Number(a) - Number(b)),
          expected,
          words.join(' '),
        );
      }
    });
  }

  it('that are to be closed on exec are not there, and none of rootless-run is', async () => {
    const direct = await run('bash', ['-c', 'ls /proc/self/fd']);
    ok(await viaFront(['bash', '-c', 'ls /proc/self/fd']), direct.stdout);
  });

  for (const [fd, net] of [
    [3, 'none'],
    [8, 'slirp4netns'],
    [8, 'pasta'],
  ] as const) {
    it(`come to their end when the command closes them (${fd}, --net=${net})`, async () => {
      const script = `trap 'exit 0' TERM; echo hello >&${fd}; exec ${fd}>&-; while :; do sleep 0.05; done`;
      const child = spawn(
        'bash',
        [
          '-c',
          `exec ${fd}>&1 >/dev/null; exec "$@"`,
          'bash',
          binPath('rootless-run'),
          `--net=${net}`,
          'sh',
          '-c',
          script,
        ],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      );
      const ended = new Promise((resolve) => child.once('exit', resolve));
      let text = '';
      for await (const data of child.stdout) text += data;
      assert.equal(text, 'hello\n');
      assert.equal(child.exitCode, null);
      child.kill('SIGTERM');
      assert.equal(await ended, 0);
    });
  }

  it('keep a lock as long as the command lives', async () => {
    const lock = join(tempDir(), 'lock');
    const free = async () => (await run('flock', ['--nonblock', lock, 'true'])).code === 0;
    ok(
      await run('flock', [lock, binPath('rootless-run'), ...bare, 'sh', '-c', `flock -n ${lock} true || echo held`]),
      'held\n',
    );
    {
      await using _stack = await startStack({
        wrapper: ['bash', '-c', `exec 9>${lock}; flock 9; exec "$@"`, 'bash'],
      });
      assert.equal(await free(), false);
    }
    assert.equal(await free(), true);
  });
});

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { StackRecord } from '../../../protocol/state/stack-record.js';
import { binPath, isAlive, type RunResult, run, start, startStack, tempDir, waitFor } from '../../support/index.js';
import { runNested } from '../../support/stacks/rootless-run.js';

interface Listed {
  name?: string;
  stateDir: string;
  socket: string;
  pid: number;
  started: string;
  program: string;
  command?: string[];
  networkDriver: string;
  ports: { spec: { parentPort: number } }[];
  answers: boolean;
}

const stacks = (...args: string[]): Promise<RunResult> => run(binPath('rootless-run'), args);

/** What `rootless-run ls --json` has of the stacks for which `wanted` holds; others may run beside the test. */
async function listed(wanted: (entry: Listed) => boolean): Promise<Listed[]> {
  const { code, stdout, stderr } = await stacks('ls', '--json');
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  const lines = stdout.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as Listed).filter(wanted);
}

async function fails(result: Promise<RunResult>, message: RegExp): Promise<void> {
  const { code, stdout, stderr } = await result;
  assert.match(stderr, message);
  assert.match(stderr, /^[^\n]*\n$/, 'one line');
  assert.deepEqual([code === 0, stdout], [false, '']);
}

describe('rootless-run ls', () => {
  it('lists a stack with a name, and what it does', async () => {
    await using stack = await startStack({
      args: ['--net=none', '--name=shown'],
      publish: ['127.0.0.2:0:80'],
      command: ['sleep', '1000'],
    });
    const [entry] = await listed(({ name }) => name === 'shown');
    assert(entry);
    const { started, ports, ...rest } = entry;
    assert(Math.abs(Date.parse(started) - Date.now()) < 60_000);
    const [published] = await stack.published();
    assert.deepEqual(
      ports.map(({ spec }) => spec.parentPort),
      [published?.port],
    );
    assert.deepEqual(rest, {
      name: 'shown',
      stateDir: stack.stateDir,
      socket: join(stack.stateDir, 'api.sock'),
      pid: stack.started.pid,
      program: 'rootless-run',
      command: ['sleep', '1000'],
      networkDriver: 'none',
      portDriver: 'builtin',
      answers: true,
    });
    const table = (await stacks('ls')).stdout.split('\n');
    assert.match(table[0] ?? '', /^NAME +PID +STARTED +COMMAND +NETWORK +PORTS +STATE DIRECTORY *$/);
    const row = table.find((line) => line.startsWith('shown '));
    assert.match(row ?? '', /^shown +\d+ +\S[\w ]+ ago +sleep 1000 +none +127\.0\.0\.2:\d+->80\/tcp +\/.*\/state *$/);
    assert((await stacks('ls', '-q')).stdout.split('\n').includes('shown'));
    assert.match((await stack.ctl('info')).stdout, /^- Name: shown$/m);
  });

  it("lists those with temporary directories, and under RootlessKit's name", async () => {
    await using started = await start(
      binPath('rootlesskit'),
      ['sh', '-c', 'echo $ROOTLESSKIT_STATE_DIR; exec sleep 1000'],
      {
        ready: { output: /\n/ },
      },
    );
    const stateDir = started.output().trim();
    const [entry] = await listed(({ pid }) => pid === started.pid);
    assert.equal(entry?.stateDir, stateDir);
    assert.equal(entry.program, 'rootlesskit');
    assert.equal(entry.networkDriver, 'host');
  });

  it('lists one whose sockets are gone, and one that is stopped, and does not list one that was killed', async () => {
    await using stack = await startStack({ args: ['--net=none', '--name=lost'] });
    process.kill(stack.started.pid, 'SIGSTOP');
    assert.equal((await listed(({ name }) => name === 'lost'))[0]?.answers, false);
    assert.match((await stacks('ls')).stdout, /^lost .*\(does not answer\)/m);
    process.kill(stack.started.pid, 'SIGKILL');
    await stack.started.ended;
    assert.deepEqual(await listed(({ name }) => name === 'lost'), []);
    assert(existsSync(join(stack.stateDir, 'lock')), 'what it reports as left behind');
  });

  it('refuses what it does not know in one line', async () => {
    await fails(stacks('ls', 'web'), /^rootless-run: error: too many arguments/);
    await fails(stacks('ls', '--jso'), /^rootless-run: error: unknown option '--jso'/);
  });
});

describe('rootless-run --name', () => {
  it('is one that no other running stack has', async () => {
    await using first = await startStack({ args: ['--net=none', '--name=single'] });
    const second = stacks('--net=none', '--name=single', 'true');
    await fails(
      second,
      new RegExp(
        `the name single belongs to the stack of pid ${first.started.pid} .*; hint: rootless-run stop single, or`,
      ),
    );
    await first.started.stop();
    assert.equal((await stacks('--net=none', '--name=single', 'true')).code, 0);
    const twins = await Promise.all([1, 2].map(() => stacks('--net=none', '--name=twin', 'sleep', '1')));
    assert.deepEqual(twins.map(({ code }) => code === 0).sort(), [false, true]);
  });

  it('is refused if it is not valid, before anything is done', async () => {
    for (const name of ['12', 'a/b', '-x', '.x', 'a b', 'ä', 'x'.repeat(65)]) {
      await fails(stacks('--net=none', `--name=${name}`, 'true'), /^rootless-run: error: invalid --name "/);
    }
  });
});

describe('rootless-run stop', () => {
  it('ends a stack by its name, its directory or its process id, and what its command was', async () => {
    for (const by of ['name', 'directory', 'pid'] as const) {
      await using stack = await startStack({
        args: ['--net=none', '--name=ending'],
        command: ['sh', '-c', 'trap "exit 7" TERM; while :; do sleep 0.1; done'],
      });
      const { stateDir } = stack;
      const word = { name: 'ending', directory: stateDir, pid: String(stack.started.pid) }[by];
      assert.deepEqual(await stacks('stop', word), { code: 0, signal: null, stdout: 'ending\n', stderr: '' });
      assert.deepEqual(await stack.started.ended, { code: 7, signal: null });
      assert.equal(existsSync(stateDir), false);
    }
  });

  it('ends those that exist, although other words name none', async () => {
    await using stack = await startStack({ args: ['--net=none', '--name=ended'] });
    const { code, stdout, stderr } = await stacks('stop', 'nope1', 'ended', 'nope2');
    assert.deepEqual([code, stdout], [1, 'ended\n']);
    for (const name of ['nope1', 'nope2']) {
      assert.match(stderr, new RegExp(`^rootless-run: error: no running stack "${name}"; hint: `, 'm'));
    }
    await stack.started.ended;
  });

  it('kills what does not end in time, and nothing is left of it', async () => {
    await using stack = await startStack({
      args: ['--net=none', '--name=stubborn'],
      command: ['sh', '-c', 'trap "" TERM; echo up; while :; do sleep 0.1; done'],
    });
    await waitFor(() => stack.started.output().includes('up'));
    assert.equal((await stacks('stop', '--time=1', 'stubborn')).code, 0);
    assert.equal((await stack.started.ended).code !== 0, true);
    assert.equal(existsSync(stack.stateDir), false);
  });

  it('ends one that is stopped', async () => {
    for (const time of ['10', '0']) {
      await using stack = await startStack({ args: ['--net=none', '--name=frozen'] });
      process.kill(stack.started.pid, 'SIGSTOP');
      assert.deepEqual(await stacks('stop', '-t', time, 'frozen'), {
        code: 0,
        signal: null,
        stdout: 'frozen\n',
        stderr: '',
      });
      assert.equal(isAlive(stack.started.pid), false);
      assert.equal(isAlive(stack.childPid), false);
      assert.equal(existsSync(stack.stateDir), false);
    }
  });

  it('refuses what it does not know in one line', async () => {
    await fails(
      stacks('stop', 'nosuch'),
      /^rootless-run: error: no running stack "nosuch"(; hint: |: no stacks are running)/,
    );
    await fails(stacks('stop', '--time=soon', 'x'), /invalid.*--time.*soon/);
    await fails(stacks('stop', '--all', 'x'), /--all and the name of a stack are mutually exclusive/);
  });

  it('ends the only one, or all, and lists the candidates', async () => {
    // In a pid namespace of its own, where there is no other stack.
    const { code, stdout, stderr } = await runNested(
      `exec unshare --pid --fork --mount-proc sh -euc '
        "$RUN" stop 2>&1 || echo code $?
        "$CTL" info 2>&1 || echo code $?
        "$RUN" --net=none --state-dir="$DIR/one" sleep 1000 & until test -S "$DIR/one/api.sock"; do sleep 0.1; done
        "$CTL" info | grep "State Directory"
        "$RUN" stop
        wait $! || true
        "$RUN" --net=none --name=a sleep 1000 & "$RUN" --net=none --name=b sleep 1000 &
        until test "$("$RUN" ls -q | wc -l)" = 2; do sleep 0.1; done
        "$RUN" stop 2>&1 || echo code $?
        "$CTL" info 2>&1 || echo code $?
        "$RUN" stop --all | sort
        "$RUN" ls -q; "$RUN" stop --all; wait'`,
      [],
      {
        env: {
          RUN: binPath('rootless-run'),
          CTL: binPath('rootlessctl'),
          DIR: tempDir(),
          TMPDIR: tempDir(),
          ROOTLESSKIT_STATE_DIR: undefined,
        },
      },
    );
    const dir = /State Directory: (.*)/.exec(stdout)?.[1] ?? '';
    const failed = (text: string) => text.replace(/code \d+/g, 'code N').replace(/[ab], [ab]/g, 'a, b');
    assert.equal(
      failed(stdout),
      [
        'rootless-run: error: no stack is running',
        'code N',
        'error: no stack is running; please specify --socket or set $ROOTLESSKIT_STATE_DIR',
        'code N',
        `- State Directory: ${dir}`,
        dir,
        'rootless-run: error: 2 stacks are running: a, b; hint: rootless-run stop NAME or DIRECTORY, or --all',
        'code N',
        'error: 2 stacks are running: a, b; hint: select one with --stack NAME or DIRECTORY',
        'code N',
        'a',
        'b',
        '',
      ].join('\n'),
      stderr,
    );
    assert.equal(code, 0);
  });
});

describe('rootlessctl without a socket', () => {
  it('finds the default stack among others that run, and the one that --stack names', async () => {
    const home = tempDir();
    const env = { HOME: home, XDG_RUNTIME_DIR: join(home, 'run'), ROOTLESSKIT_STATE_DIR: undefined };
    mkdirSync(env.XDG_RUNTIME_DIR);
    await using named = await startStack({ args: ['--net=none', '--name=other'] });
    const stateDir = join(env.XDG_RUNTIME_DIR, 'rootless-net');
    await using _ = await start(binPath('rootless-run'), ['serve', '--net=none'], {
      env,
      ready: { check: () => existsSync(join(stateDir, 'api.sock')) },
    });
    const ctl = (...args: string[]) => run(binPath('rootlessctl'), args, { env });
    const directoryOf = async (...args: string[]) =>
      (JSON.parse((await ctl(...args, 'info', '--json')).stdout) as { stateDir: string }).stateDir;
    assert.equal(await directoryOf(), stateDir);
    assert.equal(await directoryOf('--stack=other'), named.stateDir);
    assert.equal(await directoryOf('--stack', named.stateDir), named.stateDir);
    await fails(ctl('--stack', 'nosuch', 'info'), /^error: no running stack "nosuch"; hint: running are .*other/);
    await fails(ctl('--stack=x', '--socket=/x', 'info'), /^error: --socket and --stack are mutually exclusive\n$/);
  });
});

describe('the lock of a state directory', () => {
  it('reports which stack holds it, and so does the error of another one', async () => {
    await using stack = await startStack({ args: ['--net=none', '--name=holder'] });
    const lock = join(stack.stateDir, 'lock');
    const record = JSON.parse(readFileSync(lock, 'utf8')) as StackRecord;
    assert.equal(record.process.pid, stack.started.pid);
    assert.equal(record.socket, join(stack.stateDir, 'api.sock'));
    await fails(
      stacks('--net=none', `--state-dir=${stack.stateDir}`, 'true'),
      new RegExp(
        `failed to lock ${lock}, another instance .*\\(pid ${record.process.pid}\\); hint: rootless-run stop ${dirname(lock)},`,
      ),
    );
  });
});

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { lockHolder } from '../../../../parent/state/lock-holder.js';
import type { StackRecord } from '../../../../protocol/state/stack-record.js';
import { binPath, isAlive, run, start, tempDir, waitFor } from '../../../support/index.js';
import {
  busyboxRootfs,
  IDLE,
  startContainer,
  startContainerStack,
  userDirectories,
} from '../../../support/stacks/containers.js';
import { runNested } from '../../../support/stacks/rootless-run.js';

/** Directories of a user of their own, and rootless-net with them. */
function newUser() {
  const home = tempDir();
  const { env: directories, stateDir } = userDirectories(home);
  const env = { ...directories, ROOTLESSKIT_STATE_DIR: undefined };
  return {
    home,
    env,
    stateDir,
    net: (...args: string[]) => run(binPath('rootless-net'), args, { env }),
    stop: (...args: string[]) => run(binPath('rootless-run'), ['stop', ...args], { env }),
    /** Of the stack that runs with the default state directory. */
    pid: () => (JSON.parse(readFileSync(join(stateDir, 'lock'), 'utf8')) as StackRecord).process.pid,
  };
}

describe('the stack that has the containers', () => {
  it('is reported to another one, which logs once that it can run none, and rootless-net finds it', async () => {
    await using stack = await startContainerStack();
    const { env, started } = stack;
    const other = join(tempDir(), 'other');
    await using second = await start(
      binPath('rootless-run'),
      ['serve', '--net=none', '--name=second', `--state-dir=${other}`],
      { env, ready: { output: /cannot be run/ } },
    );
    const elsewhere = { ...env, XDG_RUNTIME_DIR: tempDir() };
    const net = (...args: string[]) => run(binPath('rootless-net'), args, { env: elsewhere });
    const { id } = await stack.containers.create({ rootfs: busyboxRootfs(), command: IDLE });
    // With another runtime directory, and without one.
    assert.equal((await net('ps', '-a', '-q')).stdout, `${id.slice(0, 12)}\n`);
    const without = await run(binPath('rootless-net'), ['ps', '-a', '-q'], {
      env: { ...env, XDG_RUNTIME_DIR: undefined },
    });
    assert.equal(without.stdout, `${id.slice(0, 12)}\n`, without.stderr);
    assert.equal((await net('--stack', stack.stateDir, 'ps', '-a', '-q')).stdout, `${id.slice(0, 12)}\n`);
    const refused = await net('--stack=second', 'ps');
    assert.match(refused.stderr, /^error: the containers in .* belong to the stack of pid \d+ [^\n]*\n$/);
    assert.equal(
      second.output(),
      `rootless-run: warning: containers cannot be run: the containers in ${stack.dataDir} belong to the stack of pid ${started.pid} (socket ${join(stack.stateDir, 'api.sock')}); hint: rootless-run stop ${stack.stateDir}, or set XDG_DATA_HOME to another directory\n`.repeat(
        2,
      ),
      'once at the start, and once for the request',
    );
  });
});

describe('a stack that rootless-net has started', () => {
  it('ends by itself after its last container, although others are kept', async () => {
    const user = newUser();
    const kept = await user.net('create', '--name=kept', '--rootfs', busyboxRootfs(), '--', ...IDLE);
    assert.equal(kept.code, 0, kept.stderr);
    const pid = user.pid();
    const short = await user.net('run', '--name=short', '--rootfs', busyboxRootfs(), '--', 'true');
    assert.equal(short.code, 0, short.stderr);
    assert.equal(user.pid(), pid, 'it is the same stack');
    await waitFor(() => !isAlive(pid), { timeout: 20_000, what: 'the end of the stack' });
    assert.equal(existsSync(user.stateDir), false);
    assert.equal(readFileSync(join(user.env.XDG_STATE_HOME, 'rootless-net', 'serve.log'), 'utf8'), '');
  });

  it('is waited for while it ends, and started again', async () => {
    const user = newUser();
    const slow = 'trap "sleep 0.7; exit" TERM; echo ready; while :; do sleep 0.1; done';
    const args = ['run', '-d', '--name=slow', '--rootfs', busyboxRootfs(), '--', 'sh', '-c', slow];
    assert.equal((await user.net(...args)).code, 0);
    await waitFor(async () => (await user.net('logs', 'slow')).stdout === 'ready\n', { what: 'its trap' });
    const pid = user.pid();
    const socket = join(user.stateDir, 'api.sock');
    process.kill(pid, 'SIGTERM');
    await waitFor(() => !existsSync(socket), { what: 'the end of the API' });
    assert(isAlive(pid), 'it is still ending its container');
    const result = await user.net('run', '--rm', '--rootfs', busyboxRootfs(), '--', 'echo', 'hello');
    assert.deepEqual(result, { code: 0, signal: null, stdout: 'hello\n', stderr: '' });
    assert.notEqual(user.pid(), pid);
    assert.equal((await user.net('inspect', '--format={{.State.Status}}', 'slow')).stdout, 'exited\n');
    assert.equal((await user.stop(user.stateDir)).code, 0);
  });

  it('continues with --keep', async () => {
    const user = newUser();
    assert.equal((await user.net('--keep', 'network', 'create', 'n')).code, 0);
    const words = readFileSync(`/proc/${user.pid()}/cmdline`, 'utf8').split('\0');
    assert.equal(
      words.some((word) => word.startsWith('--stop-when-idle')),
      false,
    );
    assert.equal((await user.stop(user.stateDir)).code, 0);
  });
});

describe('rootless-run serve --stop-when-idle', () => {
  it('ends in order when it is unused, and refuses an invalid time', async () => {
    const home = tempDir();
    const env = { HOME: home, XDG_RUNTIME_DIR: home };
    const serve = (...args: string[]) => run(binPath('rootless-run'), ['serve', '--net=none', ...args], { env });
    for (const network of ['none', 'host']) {
      const result = await serve(`--net=${network}`, '--stop-when-idle=1');
      assert.deepEqual(result, { code: 0, signal: null, stdout: '', stderr: '' });
    }
    assert.equal(existsSync(join(home, 'rootless-net')), false);
    for (const time of ['0', 'x', '-1', '1.5']) {
      assert.match(
        (await serve(`--stop-when-idle=${time}`)).stderr,
        /^rootless-run: error: invalid --stop-when-idle [^\n]*\n$/,
      );
    }
  });

  it('does not end while a port is published, or a container runs', async () => {
    await using stack = await startContainerStack({ args: ['--net=none', '--stop-when-idle=1'] });
    // Three times the time after which it would end.
    const stays = async (what: string) => {
      const since = performance.now();
      await waitFor(() => performance.now() - since > 3_000);
      assert(isAlive(stack.started.pid), what);
    };
    const { id } = await stack.api.addPort({ proto: 'tcp', parentIP: '127.0.0.2', parentPort: 0, childPort: 80 });
    await stays('with a port');
    const container = await startContainer(stack);
    await stack.api.removePort(id);
    await stays('with a container');
    await stack.containers.stop(container.id, 0);
    await waitFor(() => !isAlive(stack.started.pid), { what: 'the end of the stack' });
    assert.deepEqual(await stack.started.ended, { code: 0, signal: null });
  });
});

describe('what is left of a stack that was killed', () => {
  for (const how of ['rootless-run stop', 'the next start'] as const) {
    it(`and holds the containers is ended by ${how}`, async () => {
      const stack = await startContainerStack();
      const lock = join(stack.dataDir, 'lock');
      const [agent = 0] = stack.agents();
      assert.equal(await lockHolder(lock), agent);
      process.kill(agent, 'SIGSTOP');
      // So that nothing ends the agent: neither its parent, nor the process that would be asked to.
      const { childPID } = await stack.api.info();
      process.kill(childPID, 'SIGSTOP');
      process.kill(stack.started.pid, 'SIGKILL');
      await waitFor(() => !isAlive(stack.started.pid));
      assert.equal(await lockHolder(lock), agent);
      if (how === 'rootless-run stop') {
        const run_ = (...args: string[]) => run(binPath('rootless-run'), args, { env: stack.env });
        assert.match(
          (await run_('ls')).stderr,
          new RegExp(`process ${agent} is left over from a stack that was killed`),
        );
        assert.deepEqual(await run_('stop', stack.stateDir), {
          code: 0,
          signal: null,
          stdout: `${stack.stateDir}\n`,
          stderr: '',
        });
        assert.equal(await lockHolder(lock), undefined);
      } else {
        await using next = await startContainerStack({ home: stack.home });
        assert.match(next.started.output(), /ending the process \d+, which is left over from a killed stack/);
        assert.deepEqual(await next.containers.list(), []);
      }
      assert.deepEqual([isAlive(agent), isAlive(childPID)], [false, false]);
    });
  }
});

describe('a stack in another pid namespace', () => {
  it('is neither considered a leftover of one that was killed, nor ended', async () => {
    const stack = await startContainerStack({
      wrapper: ['unshare', '--user', '--map-root-user', '--pid', '--fork', '--mount-proc', '--kill-child'],
    });
    // unshare(1) passes no SIGTERM on.
    await using _ = { [Symbol.asyncDispose]: () => stack.killAll() };
    const lock = join(stack.dataDir, 'lock');
    const agent = await lockHolder(lock);
    assert(agent !== undefined && agent !== stack.started.pid);
    const listed = await run(binPath('rootless-run'), ['ls'], { env: stack.env });
    assert.doesNotMatch(listed.stderr, new RegExp(`process ${agent} is left`));
    const stop = await run(binPath('rootless-run'), ['stop', String(agent)], { env: stack.env });
    assert.match(stop.stderr, /^rootless-run: error: no running stack "\d+"[^\n]*\n$/);
    const runtime = join(stack.home, 'other-run');
    mkdirSync(runtime, { mode: 0o700 });
    await using second = await start(binPath('rootless-run'), ['serve', '--net=none'], {
      env: { ...stack.env, XDG_RUNTIME_DIR: runtime },
      ready: { output: /containers cannot be run/ },
    });
    assert.match(second.output(), /belong to the stack of pid \d+ \(socket /);
    assert.doesNotMatch(second.output(), /ending the process/);
    assert.equal(await lockHolder(lock), agent);
    assert.deepEqual(await stack.containers.list(), []);
  });
});

describe('rootless-run serve that is ended as soon as its API is there', () => {
  for (const to of ['its process', 'its process group'] as const) {
    it(`by SIGTERM to ${to} ends in order, and prints nothing`, async () => {
      for (let round = 0; round < 5; round++) {
        const { env, stateDir } = userDirectories(tempDir());
        const child = spawn(binPath('rootless-run'), ['serve', '--net=none'], {
          detached: true,
          env: { ...process.env, ...env },
          stdio: ['ignore', 'ignore', 'pipe'],
        });
        let stderr = '';
        child.stderr.setEncoding('utf8').on('data', (text: string) => {
          stderr += text;
        });
        const ended = once(child, 'close');
        const { pid = 0 } = child;
        const socket = join(stateDir, 'api.sock');
        await waitFor(() => existsSync(socket), { what: socket });
        process.kill(to === 'its process' ? pid : -pid, 'SIGTERM');
        assert.deepEqual([await ended, stderr], [[0, null], '']);
        assert.equal(existsSync(stateDir), false);
      }
    });
  }
});

describe('a stack whose runtime directory is gone', () => {
  const losses: Record<string, (directory: string) => void> = {
    'is removed': (directory) => rmSync(directory, { recursive: true }),
    'is removed as a container is started': (directory) => {
      rmSync(directory, { recursive: true });
      const stateDir = join(directory, 'rootless-net');
      mkdirSync(join(stateDir, 'containers', '1'.repeat(64)), { recursive: true });
      mkdirSync(join(stateDir, 'oci'));
    },
    'is replaced by another one': (directory) => {
      renameSync(directory, `${directory}.old`);
      mkdirSync(directory, { mode: 0o700 });
    },
    'is emptied but for its own': (directory) => {
      const stateDir = join(directory, 'rootless-net');
      for (const name of readdirSync(stateDir)) rmSync(join(stateDir, name), { recursive: true });
    },
  };
  for (const [how, lose] of Object.entries(losses)) {
    it(`stays managed if it ${how}`, async () => {
      const stack = await startContainerStack();
      const { env, started, stateDir } = stack;
      const first = await startContainer(stack, {
        name: 'first',
        command: ['sh', '-c', 'trap "exit 7" TERM; sleep 1000 & wait'],
      });
      lose(env.XDG_RUNTIME_DIR ?? '');
      assert.equal(await stack.must('ps', '-q'), first.id.slice(0, 12));
      const record = JSON.parse(readFileSync(join(stateDir, 'lock'), 'utf8')) as StackRecord;
      assert.equal(record.process.pid, started.pid, 'no other stack was started');
      assert.equal(await lockHolder(join(stateDir, 'lock')), started.pid);
      for (const name of ['child_pid', 'resolv.conf', 'hosts']) assert(existsSync(join(stateDir, name)), name);
      assert.equal(
        (await stack.net('run', '--rm', '--rootfs', busyboxRootfs(), '--', 'echo', 'hello')).stdout,
        'hello\n',
      );
      assert.equal((await stack.net('exec', 'first', 'echo', 'there')).stdout, 'there\n');
      assert.match(
        (await run(binPath('rootlessctl'), ['info'], { env: { ...env, ROOTLESSKIT_STATE_DIR: undefined } })).stdout,
        new RegExp(stateDir),
      );
      await stack.must('stop', 'first');
      const { exitCode } = await stack.containers.inspect('first');
      assert.equal(exitCode, 7, 'its end was seen');
      const stop = await run(binPath('rootless-run'), ['stop', stateDir], { env });
      assert.deepEqual([stop.code, stop.stderr], [0, '']);
      assert.equal(isAlive(started.pid), false);
      assert.equal(existsSync(stateDir), false);
      assert.match(started.output(), /rootless-net was missing, or parts of it; it was recreated/);
    });
  }

  it('stays managed if it was unmounted, as at a logout, and mounted again', async () => {
    const home = tempDir();
    const { env } = userDirectories(home);
    const { code, stdout, stderr } = await runNested(
      `mount -t tmpfs -o mode=700 none "$XDG_RUNTIME_DIR"
      "$NET" --keep network create before >/dev/null
      first=$(cat "$XDG_RUNTIME_DIR/rootless-net/child_pid")
      umount -l "$XDG_RUNTIME_DIR"
      mount -t tmpfs -o mode=700 none "$XDG_RUNTIME_DIR"
      "$NET" network create after >/dev/null
      "$NET" network ls -q --filter driver=bridge --format '{{.Name}}'
      test "$first" = "$(cat "$XDG_RUNTIME_DIR/rootless-net/child_pid")"
      "$RUN" stop "$XDG_RUNTIME_DIR/rootless-net"`,
      [],
      { env: { ...env, NET: binPath('rootless-net'), RUN: binPath('rootless-run'), ROOTLESSKIT_STATE_DIR: undefined } },
    );
    assert.equal(stdout, `after\nbefore\n${join(env.XDG_RUNTIME_DIR, 'rootless-net')}\n`, stderr);
    assert.equal(code, 0, stderr);
  });
});

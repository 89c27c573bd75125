// The state reported of a container, and what is done with what it holds, follow its own process.
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { identityOf } from '../../../../protocol/system/process-identity.js';
import { isAlive, listProcesses, processInfo, processTree, start, tempDir, waitFor } from '../../../support/index.js';
import {
  busyboxRootfs,
  type ContainerStack,
  IDLE,
  kill,
  removeAll,
  startContainer,
  startContainerStack,
} from '../../../support/stacks/containers.js';

/** A program that ends by SIGKILL alone, and is found by its name. */
const stubborn = (marker: string) => ['sh', '-c', 'trap "" TERM; while :; do sleep 1000; done', marker];

/** Those of that program; not what it has forked, which looks the same until it becomes `sleep`. */
function instances(marker: string): number[] {
  const found = listProcesses().filter(
    ({ args, state }) => args[0] === 'sh' && args.at(-1) === marker && state !== 'Z',
  );
  return found.filter(({ ppid }) => !found.some(({ pid }) => pid === ppid)).map(({ pid }) => pid);
}

const childrenOf = ({ started }: ContainerStack, name: string) =>
  processTree(started.pid)
    .filter(({ comm }) => comm === name)
    .map(({ pid }) => pid);

describe('a container whose process outlives its stack', () => {
  for (const { runtime, how, user } of [
    { runtime: 'runc', how: 'its launcher was stopped', user: '0:0' },
    { runtime: 'crun', how: 'its launcher was killed, too', user: '1000:1000' },
  ]) {
    it(`has ended when it is called exited, and never runs twice: ${runtime}, since ${how}`, async () => {
      const home = tempDir();
      const marker = `survivor-${runtime}`;
      await using first = await startContainerStack({ home });
      const { id, pid = 0 } = await startContainer(first, { name: 'web', command: stubborn(marker), runtime, user });
      // crun does not wait for its program.
      await waitFor(() => instances(marker).length === 1);
      const [launcher = 0] = childrenOf(first, 'launcher');
      process.kill(first.started.pid, 'SIGSTOP');
      if (runtime === 'crun') kill(launcher);
      else process.kill(launcher, 'SIGSTOP');
      kill(first.started.pid);
      await waitFor(() => !isAlive(first.started.pid));
      try {
        // Nothing is left that knows of it, but what is on the disk.
        rmSync(first.stateDir, { recursive: true });
        assert.deepEqual(instances(marker), [pid]);
        await using second = await startContainerStack({ home });
        const report = await second.containers.inspect('web');
        assert.deepEqual(instances(marker), []);
        // Its monitor has gone on, too, and seen how it ended.
        assert.deepEqual([report.status, report.exitCode], ['exited', 137]);
        assert.match(
          second.started.output(),
          new RegExp(
            `^rootless-run: warning: the container web still runs as the process ${pid} of a stack that has ended; ending it$`,
            'm',
          ),
        );
        await second.containers.start(id);
        await waitFor(() => instances(marker).length > 0);
        assert.equal(instances(marker).length, 1);
        await removeAll(second);
      } finally {
        kill(launcher);
        for (const left of instances(marker)) kill(left);
      }
    });
  }
});

describe('the record of a container', () => {
  const home = tempDir();
  let stack: ContainerStack;
  before(async () => {
    stack = await startContainerStack({ home });
  });
  after(async () => {
    await stack?.[Symbol.asyncDispose]();
  });

  /** Restarts the stack with another record of the run of `web`. */
  async function restartWith(change: Record<string, unknown>): Promise<void> {
    const { directory } = await startContainer(stack, { name: 'web' });
    const file = join(directory, 'run.json');
    const run = JSON.parse(readFileSync(file, 'utf8'));
    await stack.killAll();
    writeFileSync(file, JSON.stringify({ ...run, ...change }));
    stack = await startContainerStack({ home });
  }

  const bystander = () => start('sleep', ['1000'], { ready: { check: async () => true } });

  it('means no process of another run of the machine, or that began at another time', async () => {
    await using other = await bystander();
    const identity = identityOf(other.pid);
    for (const change of [
      { ...identity, bootId: '00000000-0000-4000-8000-000000000000' },
      { ...identity, startTime: String(BigInt(identity.startTime) + 1n) },
      { ...identity, pidNamespace: 'pid:[1]' },
    ]) {
      await restartWith(change);
      assert.equal((await stack.containers.inspect('web')).status, 'exited');
      assert.ok(isAlive(other.pid));
      assert.equal((await stack.containers.start('web')).status, 'running');
      await removeAll(stack);
    }
  });

  it('is trusted if its process cannot be ended: it runs, keeps what it has, and is not started again', async () => {
    await using other = await bystander();
    await restartWith({ ...identityOf(other.pid) });
    const { status, pid } = await stack.containers.inspect('web');
    assert.deepEqual([status, pid], ['running', other.pid]);
    assert.ok(isAlive(other.pid));
    await assert.rejects(stack.containers.start('web'), {
      message: `the container web still runs as the process ${other.pid} of a stack that has ended; end that process first`,
    });
    await assert.rejects(stack.containers.stop('web'), /web does not end: its process \d+ cannot be ended/);
    assert.ok(stack.files().some((file) => file.startsWith('addresses/')));
    kill(other.pid);
    await waitFor(async () => (await stack.containers.inspect('web')).status === 'exited');
    assert.equal((await stack.containers.start('web')).status, 'running');
    await removeAll(stack);
  });
});

describe('a container that runs, after SIGKILL', () => {
  let stack: ContainerStack;
  before(async () => {
    stack = await startContainerStack();
  });
  after(async () => {
    await stack?.[Symbol.asyncDispose]();
  });

  for (const runtime of ['runc', 'crun']) {
    it(`of its monitor and the agent, continues under another agent, which ends it: ${runtime}`, async () => {
      const { pid = 0 } = await startContainer(stack, { name: 'web', command: IDLE, runtime });
      for (const victim of [processInfo(pid)?.ppid, ...stack.agents()]) kill(victim);
      await stack.settled();
      await waitFor(async () => (await stack.containers.inspect('web')).reason !== undefined);
      const report = await stack.containers.inspect('web');
      assert.deepEqual([report.status, report.pid, report.reason], ['running', pid, 'its monitor was lost']);
      assert.match(
        stack.started.output(),
        /the monitor of web was lost; the container continues to run, but its output is lost and its exit code will be unknown$/m,
      );
      assert.equal((await stack.containers.start('web')).pid, pid);
      await stack.containers.stop('web');
      assert.equal(isAlive(pid), false);
      const { status, exitCode, reason } = await stack.containers.inspect('web');
      assert.deepEqual([status, exitCode, reason], ['exited', undefined, 'its monitor was lost']);
      await removeAll(stack);
    });
  }

  it('of the monitor that holds its terminal, does not run twice', async () => {
    const command = stubborn('terminal');
    const { pid = 0 } = await startContainer(stack, { name: 'web', command, tty: true });
    await waitFor(() => instances('terminal').length === 1);
    kill(processInfo(pid)?.ppid);
    await waitFor(async () => (await stack.containers.inspect('web')).reason !== undefined);
    await stack.containers.start('web');
    assert.equal(instances('terminal').length, 1);
    await removeAll(stack);
    assert.deepEqual(instances('terminal'), []);
  });
});

describe('a container without a pid namespace of its own', () => {
  for (const runtime of ['runc', 'crun']) {
    it(`takes with it what its program leaves: ${runtime}`, async () => {
      await using stack = await startContainerStack();
      const bundle = tempDir();
      const marker = `left-by-${runtime}`;
      const script = `sh -c 'trap "" HUP TERM; while :; do sleep 1000; done' ${marker} & sleep 0.2; exit 7`;
      const config = {
        ociVersion: '1.0.2',
        root: { path: busyboxRootfs() },
        process: { cwd: '/', user: { uid: 0, gid: 0 }, args: ['sh', '-c', script], env: ['PATH=/bin'] },
        // Another one cannot be mounted without.
        mounts: [{ destination: '/proc', source: '/proc', options: ['rbind'] }],
        linux: { namespaces: [{ type: 'mount' }] },
      };
      writeFileSync(join(bundle, 'config.json'), JSON.stringify(config));
      const { id } = await stack.containers.create({ bundle, name: 'web', runtime });
      await stack.containers.start(id);
      await waitFor(async () => (await stack.containers.inspect(id)).status === 'exited');
      assert.deepEqual(instances(marker), []);
      assert.equal((await stack.containers.inspect(id)).exitCode, 7);
    });
  }
});

it('a root file system has one instance of its container, however often that is started', async () => {
  await using stack = await startContainerStack();
  const { id } = await stack.containers.create({ rootfs: busyboxRootfs(), command: stubborn('often'), name: 'web' });
  await Promise.all(Array.from({ length: 5 }, () => stack.containers.start(id)));
  await waitFor(() => instances('often').length > 0);
  assert.equal(instances('often').length, 1);
  await removeAll(stack);
});

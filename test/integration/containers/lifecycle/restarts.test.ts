import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tempDir, waitFor } from '../../../support/index.js';
import {
  busyboxRootfs,
  type ContainerStack,
  IDLE,
  kill,
  makeBusyboxRootfs,
  startContainerStack,
} from '../../../support/stacks/containers.js';
import { withContainerStack } from '../../../support/stacks/with-stack.js';

describe('restart policies of containers', () => {
  const rootfs = () => ['--rootfs', busyboxRootfs()];
  const statusOf = async (stack: ContainerStack, name: string) => (await stack.containers.inspect(name)).status;
  const until = (stack: ContainerStack, name: string, status: string) =>
    waitFor(async () => (await statusOf(stack, name)) === status, { what: `${name} to be ${status}` });

  describe('in one stack', () => {
    const stack = withContainerStack({ keep: true });

    it('start it again as often as requested, and wait ends after the last run', async () => {
      const words = ['--name', 'f', '--restart', 'on-failure:2', ...rootfs(), 'sh', '-c', 'echo run; exit 3'];
      await stack.must('run', '-d', ...words);
      assert.equal(await stack.must('wait', 'f'), '3');
      assert.equal(await stack.must('logs', 'f'), 'run\nrun\nrun');
      const shown = '{{.RestartCount}} {{.State.Status}} {{.HostConfig.RestartPolicy.Name}}';
      assert.equal(await stack.must('inspect', '-f', shown, 'f'), '2 exited on-failure');
      await stack.must('run', '-d', '--name', 'g', '--restart', 'on-failure', ...rootfs(), 'true');
      assert.equal(await stack.must('wait', 'g'), '0');
      assert.equal((await stack.containers.inspect('g')).restartCount, 0);
      await stack.must('rm', 'f', 'g');
    });

    /** One that cannot be started again, which is tried again and again. Returns what it misses. */
    const waiting = async () => {
      const file = join(tempDir(), 'file');
      writeFileSync(file, '');
      const mounted = ['-v', `${file}:/mnt/file`];
      await stack.must('run', '-d', '--name', 'w', '--restart', 'always', ...mounted, ...rootfs(), ...IDLE);
      rmSync(file);
      const { pid } = await stack.containers.inspect('w');
      assert(pid);
      kill(pid);
      await until(stack, 'w', 'restarting');
      return file;
    };

    it('are shown while they wait, and given up by stop, kill and rm -f', async () => {
      await waiting();
      assert.match(await stack.must('ps'), /Restarting \(137\) \S.* ago/);
      assert.equal(await stack.must('inspect', '-f', '{{.State.Restarting}} {{.State.Running}}', 'w'), 'true true');
      const refused = await stack.net('rm', 'w');
      assert.match(
        refused.stderr,
        /^error: the container w is about to be started again; stop it first, or use rm --force\n$/,
      );
      await stack.must('stop', 'w');
      assert.equal(await statusOf(stack, 'w'), 'exited');
      assert.equal(await stack.must('wait', 'w'), '137');
      await stack.must('rm', 'w');
      await waiting();
      await stack.must('kill', 'w');
      assert.equal(await statusOf(stack, 'w'), 'exited');
      await stack.must('rm', 'w');
      await waiting();
      await stack.must('rm', '-f', 'w');
      assert.deepEqual(stack.files(), []);
    });

    it('leave what a user stopped or killed, and start what ends by itself', async () => {
      for (const end of ['stop', 'kill']) {
        await stack.must('run', '-d', '--name', 'a', '--restart', 'always', ...rootfs(), ...IDLE);
        await stack.must(end, 'a');
        await until(stack, 'a', 'exited');
        assert.equal((await stack.containers.inspect('a')).restartCount, 0);
        await stack.must('rm', 'a');
      }
      await stack.must('run', '-d', '--name', 'a', '--restart', 'unless-stopped', ...rootfs(), ...IDLE);
      const { pid } = await stack.containers.inspect('a');
      assert(pid);
      kill(pid);
      await waitFor(async () => (await stack.containers.inspect('a')).restartCount === 1, { what: 'its restart' });
      await until(stack, 'a', 'running');
      await stack.must('rm', '-f', 'a');
    });

    it('continue when the agent is replaced', async () => {
      await stack.must('run', '-d', '--name', 'stopped', '--restart', 'always', ...rootfs(), ...IDLE);
      await stack.must('stop', 'stopped');
      await waiting();
      for (const pid of stack.agents()) kill(pid);
      await stack.settled();
      const { restartCount } = await stack.containers.inspect('w');
      await waitFor(async () => (await stack.containers.inspect('w')).restartCount > restartCount, {
        what: 'a restart',
      });
      assert.equal(await statusOf(stack, 'stopped'), 'exited');
      await stack.must('rm', '-f', 'w', 'stopped');
    });

    it('retry what cannot be started, and report why', async () => {
      const file = await waiting();
      const reason = /Restarting \(137\) .* ago: cannot mount \S+\/file at \/mnt\/file \(-v\): no such file/;
      await waitFor(async () => reason.test(await stack.must('ps')), { what: 'the reason' });
      writeFileSync(file, '');
      await until(stack, 'w', 'running');
      await stack.must('rm', '-f', 'w');
    });
  });

  it('bring containers back with the next stack, although one of them lacks something', async () => {
    const missing = makeBusyboxRootfs(tempDir());
    let home: string;
    {
      await using stack = await startContainerStack();
      ({ home } = stack);
      const begin = (name: string, policy: string, ...words: string[]) =>
        stack.must('run', '-d', '--name', name, '--restart', policy, ...rootfs(), ...(words.length > 0 ? words : IDLE));
      for (const policy of ['no', 'always', 'unless-stopped']) {
        await begin(policy, policy);
        await begin(`${policy}-stopped`, policy);
        await stack.must('stop', `${policy}-stopped`);
      }
      await begin('succeeded', 'on-failure', 'true');
      await stack.must('wait', 'succeeded');
      await stack.must('create', '--name', 'never', '--restart', 'always', ...rootfs(), ...IDLE);
      await stack.must('run', '-d', '--name', 'bare', '--restart', 'always', '--rootfs', missing, '--', ...IDLE);
      await stack.must(
        'run',
        '-d',
        '--name',
        'sharer',
        '--restart=always',
        '--net=container:always',
        ...rootfs(),
        ...IDLE,
      );
    }
    rmSync(missing, { recursive: true });
    await using stack = await startContainerStack({ home });
    const expected = {
      no: 'exited',
      'no-stopped': 'exited',
      always: 'running',
      'always-stopped': 'running',
      'unless-stopped': 'running',
      'unless-stopped-stopped': 'exited',
      succeeded: 'exited',
      never: 'created',
      bare: 'restarting',
      sharer: 'running',
    };
    const found = async () =>
      Object.fromEntries((await stack.containers.list()).map(({ name, status }) => [name, status]));
    await until(stack, 'sharer', 'running');
    await until(stack, 'unless-stopped', 'running');
    await until(stack, 'always-stopped', 'running');
    await waitFor(async () => (await stack.containers.inspect('bare')).failure !== undefined, { what: 'the reason' });
    await until(stack, 'bare', 'restarting');
    assert.deepEqual(await found(), expected);
    assert.match((await stack.containers.inspect('bare')).failure ?? '', /rootfs/);
  });
});

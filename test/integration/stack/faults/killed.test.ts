import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { accepts, processTree, programPath, startStack, tempDir, waitFor } from '../../../support/index.js';
import { gone } from './processes.js';

describe('when rootless-run is killed', () => {
  const networks = [
    ['--net=none'],
    ['--net=slirp4netns'],
    ['--net=builtin'],
    ['--net=pasta'],
    ['--net=none', '--pidns'],
    ['--net=slirp4netns', '--detach-netns'],
    ['--net=pasta', '--detach-netns', '--pidns'],
  ];
  for (const args of networks) {
    it(`with SIGKILL nothing is left of it, daemons included (${args.join(' ')})`, async () => {
      const file = join(tempDir(), 'pid');
      const script = `${process.execPath} ${programPath('daemon')} ${file} & nohup sleep 1000 > /dev/null 2>&1 & trap '' TERM HUP; while :; do sleep 1; done`;
      await using stack = await startStack({ args, command: ['sh', '-c', script] });
      await stack.publish('127.0.0.2:0:80');
      await waitFor(() => existsSync(file) && readFileSync(file, 'utf8'), { what: 'the daemon' });
      await waitFor(() => stack.below('child/agent.js').length === 1, { what: 'the agent' });
      const processes = processTree(stack.started.pid);
      assert.ok(processes.some(({ comm }) => comm.startsWith('launcher')));
      // A session of its own, and a parent that is gone: the launcher has it.
      const daemon = processes.find(({ args: words }) => words.at(-1) === '2');
      assert.ok(daemon, 'the daemon is not below rootless-run');
      const network = /slirp4netns|pasta/.exec(args.join())?.[0];
      if (network) assert.ok(processes.some(({ args: words }) => words[0]?.includes(network)));

      process.kill(stack.started.pid, 'SIGKILL');
      await gone(processes);
    });
  }

  it('with SIGKILL its ports are free, and its state directory can be used again', async () => {
    const first = await startStack({ publish: ['127.0.0.2:0:80'] });
    const [published] = await first.published();
    assert.ok(published);
    const processes = processTree(first.started.pid);
    process.kill(first.started.pid, 'SIGKILL');
    await gone(processes);
    assert.ok(existsSync(join(first.stateDir, 'child_pid')));
    await using second = await startStack({
      stateDir: first.stateDir,
      publish: [`127.0.0.2:${published.port}:80`],
    });
    assert.equal(second.stateDir, first.stateDir);
    assert.notEqual(second.childPid, first.childPid);
  });

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    it(`with ${signal} the command gets it, and everything is gone with the command`, async () => {
      const file = join(tempDir(), 'pid');
      const script = `${process.execPath} ${programPath('daemon')} ${file} & trap 'exit 7' TERM INT HUP; while :; do sleep 0.1; done`;
      await using stack = await startStack({ publish: ['127.0.0.2:0:80'], command: ['sh', '-c', script] });
      await waitFor(() => existsSync(file) && readFileSync(file, 'utf8'), { what: 'the daemon' });
      const [published] = await stack.published();
      const processes = processTree(stack.started.pid);
      const { code } = await stack.started.stop(signal);
      assert.equal(code, 7);
      await gone(processes);
      assert.equal(existsSync(stack.stateDir), false);
      assert.equal(await accepts('127.0.0.2', published?.port ?? 0), false);
    });
  }
});

describe('when the command is killed', () => {
  it('with SIGKILL rootless-run ends with 137, and nothing is left', async () => {
    await using stack = await startStack({ publish: ['127.0.0.2:0:80'], command: ['sleep', '1000'] });
    const target = await waitFor(() => stack.below('sleep 1000').find(({ comm }) => comm === 'sleep'));
    const processes = processTree(stack.started.pid);
    process.kill(target.pid, 'SIGKILL');
    const { code } = await stack.started.ended;
    assert.equal(code, 137);
    assert.doesNotMatch(stack.started.output(), /error/);
    await gone(processes);
    assert.equal(existsSync(stack.stateDir), false);
  });
});

describe('when the launcher is killed', () => {
  for (const args of [['--net=none'], ['--net=slirp4netns'], ['--net=none', '--pidns']]) {
    it(`with SIGKILL rootless-run reports it and ends, and nothing is left (${args.join(' ')})`, async () => {
      const file = join(tempDir(), 'pid');
      const script = `${process.execPath} ${programPath('daemon')} ${file} & while :; do sleep 1; done`;
      await using stack = await startStack({ args, publish: ['127.0.0.2:0:80'], command: ['sh', '-c', script] });
      await waitFor(() => existsSync(file) && readFileSync(file, 'utf8'), { what: 'the daemon' });
      const processes = processTree(stack.started.pid);
      process.kill(stack.childPid, 'SIGKILL');
      const { code } = await stack.started.ended;
      assert.notEqual(code, 0);
      assert.match(stack.started.output(), /^rootless-run: error: the namespaces were ended from outside$/m);
      await gone(processes);
      assert.equal(existsSync(stack.stateDir), false);
    });
  }
});

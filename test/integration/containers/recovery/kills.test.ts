import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { accepts, freePort, isAlive, processInfo, processTree, tempDir, waitFor } from '../../../support/index.js';
import {
  busyboxRootfs,
  type ContainerStack,
  kill,
  onlyLeft,
  startContainer,
  startContainerStack,
  type Traces,
  traces,
  WEB,
} from '../../../support/stacks/containers.js';

describe('containers, after SIGKILL', () => {
  const home = tempDir();
  let stack: ContainerStack;
  let port: number;
  let id: string;
  let address: string[];
  /** While it runs, as it should be. */
  let running: Traces;

  before(async () => {
    stack = await startContainerStack({ home });
    port = await freePort('127.0.0.2');
    const report = await startContainer(stack, {
      name: 'web',
      command: WEB,
      publish: [{ hostIP: '127.0.0.2', hostPort: port, containerPort: 80, protocol: 'tcp' }],
    });
    id = report.id;
    address = report.attachments.flatMap(({ ips }) => ips);
    await waitFor(() => processTree(stack.started.pid).some(({ comm }) => comm === 'httpd'), {
      what: 'the web server',
    });
    running = await traces(stack);
  });
  after(async () => {
    await stack?.[Symbol.asyncDispose]();
  });

  /** Starts it unless it runs; it is what it was, once. */
  async function comesUp(what: string): Promise<void> {
    const report = await stack.containers.start('web');
    assert.equal(report.id, id, what);
    assert.equal(report.status, 'running', what);
    assert.deepEqual(
      report.attachments.flatMap(({ ips }) => ips),
      address,
      what,
    );
    await onlyLeft(stack, running, what);
    const hosts = readFileSync(join(report.directory, 'hosts'), 'utf8');
    assert.equal(hosts.split('\n').filter((line) => /\bweb\b/.test(line)).length, 1, hosts);
    assert.deepEqual(await stack.containers.gc(), [], what);
  }

  const containerPid = async () => (await stack.containers.inspect('web')).pid ?? assert.fail('web does not run');

  it('of its process come up again, 50 times', async () => {
    for (let time = 1; time <= 50; time++) {
      const pid = await containerPid();
      kill(pid);
      await waitFor(() => !isAlive(pid), { what: 'its end' });
      await comesUp(`${time}`);
      assert.notEqual(await containerPid(), pid);
    }
  });

  it('free their ports without a request', async () => {
    kill(await containerPid());
    await waitFor(async () => !(await accepts('127.0.0.2', port)), { what: 'the end of the port' });
    await comesUp('afterwards');
  });

  it('of its monitor continue, and come up again when they have ended', async () => {
    const pid = await containerPid();
    const monitor = processInfo(pid)?.ppid ?? assert.fail('the container has no monitor');
    assert.equal(processInfo(monitor)?.comm, 'container-mon');
    kill(monitor);
    await waitFor(() => !isAlive(monitor), { what: 'the end of the monitor' });
    assert.equal((await stack.containers.start('web')).pid, pid);
    assert.ok(await accepts('127.0.0.2', port));
    kill(pid);
    await waitFor(() => !isAlive(pid), { what: 'the end of the container' });
    assert.equal((await stack.containers.inspect('web')).status, 'exited');
    assert.equal(await accepts('127.0.0.2', port), false);
    await comesUp('afterwards');
  });

  it('of the agent continue, and their end is noticed', async () => {
    const pid = await containerPid();
    for (const agent of stack.agents()) kill(agent);
    await stack.settled();
    assert.equal(await containerPid(), pid);
    await comesUp('the same one');
    await stack.containers.stop('web');
    assert.equal((await stack.containers.inspect('web')).exitCode, 0);
    await comesUp('another one');
  });

  it('of the agent while one is made leave nothing that waits, and the next start succeeds', async () => {
    const directory = tempDir();
    const runtime = join(directory, 'slow-runc');
    const script = `[ "$3" = create ] && { touch ${directory}/begun; until [ -e ${directory}/go ]; do sleep 0.02; done; }`;
    writeFileSync(runtime, `#!/bin/sh\n${script}\nexec runc "$@"\n`, { mode: 0o755 });
    await comesUp('beside it');
    const request = { name: 'slow', rootfs: busyboxRootfs(), command: WEB, runtime };
    const slow = await stack.containers.create({ ...request, network: { mode: 'host' } });
    const starting = stack.containers.start(slow.id);
    starting.catch(() => {});
    await waitFor(() => existsSync(join(directory, 'begun')), { what: 'the runtime' });
    for (const agent of stack.agents()) kill(agent);
    await assert.rejects(starting);
    await stack.settled();
    writeFileSync(join(directory, 'go'), '');
    await waitFor(async () => isDeepStrictEqual((await traces(stack)).processes, running.processes), {
      what: 'the end of what was made for no client',
    });
    assert.equal((await stack.containers.inspect('slow')).status, 'exited');
    assert.equal((await stack.containers.start('slow')).status, 'running');
    await stack.containers.remove('slow', { force: true });
    await comesUp('afterwards');
  });

  it('of the parent end, and come up in the next stack', async () => {
    const tree = processTree(stack.started.pid);
    kill(stack.started.pid);
    await waitFor(() => tree.every(({ pid }) => !isAlive(pid)), { what: 'the end of all that it has started' });
    await stack.started.ended;
    assert.equal(await accepts('127.0.0.2', port), false);
    stack = await startContainerStack({ home });
    await comesUp('in the next stack');
  });

  it('of everything come up in the next stack, 8 times, also without a runtime directory', async () => {
    for (let time = 1; time <= 8; time++) {
      await stack.killAll();
      assert.equal(await accepts('127.0.0.2', port), false);
      if (time > 6) {
        rmSync(stack.env.XDG_RUNTIME_DIR ?? '', { recursive: true });
        mkdirSync(stack.env.XDG_RUNTIME_DIR ?? '', { mode: 0o700 });
      }
      stack = await startContainerStack({ home });
      const { status, exitCode } = await stack.containers.inspect('web');
      // Nobody has seen its end.
      assert.deepEqual([status, exitCode], ['exited', undefined]);
      await comesUp(`${time}`);
    }
  });
});

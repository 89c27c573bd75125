import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { echo, openConnection, type RunningStack, run, startStack, tcpRequest, waitFor } from '../../support/index.js';

/** The program that makes the network. */
async function helperOf(stack: RunningStack): Promise<number> {
  // pasta is two processes for a moment while it starts.
  const found = await waitFor(() => (stack.below('tap0').length === 1 ? stack.below('tap0')[0] : undefined), {
    what: 'the one process of the network',
  });
  return found.pid;
}

/** Kills it, and waits until another one is there and the network works. */
async function killHelper(stack: RunningStack, times: number): Promise<void> {
  const before = await helperOf(stack);
  process.kill(before, 'SIGKILL');
  await waitFor(() => stack.started.output().match(/the network is up again/g)?.length === times, {
    what: 'the network to be up again',
  });
  assert.notEqual(await helperOf(stack), before);
}

describe('a network whose program is killed', () => {
  for (const [driver, ...more] of [['slirp4netns'], ['slirp4netns', '--ipv6'], ['pasta']] as const) {
    it(`is started again, and connections through published ports continue: ${driver} ${more.join(' ')}`, async () => {
      await using outside = await hostServer();
      await using stack = await startStack({ args: [`--net=${driver}`, '--allow-host-loopback', ...more] });
      await using _server = await stack.program('tcp-server', 'echo', '127.0.0.1', 7002);
      const { port } = await stack.publish('127.0.0.2:0:7002');
      const held = await openConnection('127.0.0.2', port);
      for (const times of [1, 2]) {
        await killHelper(stack, times);
        assert.equal(await echo(held, `still here ${times}`), `still here ${times}`);
        assert.equal(await greeting(stack, outside.port), 'host');
      }
      held.destroy();
    });
  }

  for (const driver of ['slirp4netns', 'pasta']) {
    it(`is started again in a detached namespace: ${driver}`, async () => {
      await using outside = await hostServer();
      await using stack = await startStack({ args: [`--net=${driver}`, '--allow-host-loopback', '--detach-netns'] });
      for (const times of [1, 2]) {
        await killHelper(stack, times);
        assert.equal(await greeting(stack, outside.port, join(stack.stateDir, 'netns')), 'host');
      }
    });
  }

  it('has its ports again, if it publishes them itself', async () => {
    await using stack = await startStack({ args: ['--net=slirp4netns', '--port-driver=slirp4netns'] });
    await using _server = await stack.program('tcp-server', 'echo', '0.0.0.0', 7002);
    const { id, port } = await stack.publish('127.0.0.1:0:7002');
    await killHelper(stack, 1);
    await waitFor(async () => (await tcpRequest('127.0.0.1', port, 'x').catch(() => '')).toString() === 'x', {
      what: 'the port to work again',
    });
    await stack.api.removePort(id);
    await assert.rejects(tcpRequest('127.0.0.1', port, 'x'));
  });
});

/** What the server on the host's loopback answers, when it is asked through the gateway and the one default route. */
async function greeting({ childPid }: RunningStack, port: number, netns = `/proc/${childPid}/ns/net`): Promise<string> {
  const script = `test $(ip -4 route show default | wc -l) = 1 && socat -T2 - TCP:10.0.2.2:${port},connect-timeout=2 | head -c 4`;
  const target = ['--user', '--mount', '--preserve-credentials', `--target=${childPid}`];
  return (await run('nsenter', [...target, '--', 'nsenter', `--net=${netns}`, 'sh', '-c', script])).stdout;
}

/** A server on the host's loopback that greets every client. */
async function hostServer(): Promise<AsyncDisposable & { port: number }> {
  const server = createServer((socket) => socket.on('error', () => {}).end('host'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bound = server.address();
  return {
    port: typeof bound === 'object' && bound ? bound.port : 0,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

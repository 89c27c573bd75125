import assert from 'node:assert/strict';
import { freePort, listensNow, tcpOutcome, waitFor } from '../../../../support/index.js';
import { onNetworks, startContainer, WEB } from '../../../../support/stacks/containers.js';
import { RESET } from '../../../ports/suite/common.js';
import { get, getUdp, listeners, serversReady, withPublishing } from './publishing.js';

describe('published ports of containers', () => {
  const { stack, serve, refused } = withPublishing();

  it('refuse outside what is refused inside', async () => {
    const port = await freePort('127.0.0.2');
    await serve('c', '-p', `127.0.0.2:${port}:81`);
    assert.deepEqual(await tcpOutcome('127.0.0.2', port), RESET);
  });

  it('lead to a container that is on two networks, and stay when it leaves the first', async () => {
    for (const name of ['m1', 'm2']) await stack.containers.createNetwork({ name });
    const port = await freePort('127.0.0.2');
    await serve(
      'c',
      '--net',
      'm1',
      '--net',
      'm2',
      '-p',
      `127.0.0.2:${port}:80`,
      '-p',
      `127.0.0.2:${port}:53/udp`,
      '-p',
      '127.0.0.2::80',
    );
    const { ports } = await stack.containers.inspect('c');
    const answers = async () => [
      await get('127.0.0.2', port),
      await getUdp('127.0.0.2', port),
      await get('127.0.0.2', ports[2]?.hostPort ?? 0),
    ];
    assert.deepEqual(await answers(), ['c\n', 'c\n', 'c\n']);
    await stack.containers.disconnect('m1', 'c');
    assert.deepEqual(await answers(), ['c\n', 'c\n', 'c\n']);
    assert.deepEqual((await stack.containers.inspect('c')).ports, ports);
    await stack.containers.connect('m1', 'c');
    await stack.containers.disconnect('m2', 'c');
    assert.deepEqual(await answers(), ['c\n', 'c\n', 'c\n']);
    await stack.containers.restart('c');
    await serversReady((await stack.containers.inspect('c')).pid);
    assert.equal(await get('127.0.0.2', port), 'c\n');
  });

  it('lead to containers that are isolated from each other', async () => {
    await stack.containers.createNetwork({ name: 'apart', icc: false });
    await stack.containers.createNetwork({ name: 'inner', internal: true, ipv6: true });
    for (const network of ['apart', 'inner']) {
      const port = await freePort('127.0.0.2');
      const publish = [{ hostIP: '127.0.0.2', hostPort: port, containerPort: 80, protocol: 'tcp' as const }];
      const options = { name: network, hostname: network, network: onNetworks(network), publish, command: WEB };
      const { pid = 0 } = await startContainer(stack, options);
      await waitFor(() => listensNow(pid, 80), { what: 'the web server' });
      assert.equal(await get('127.0.0.2', port), `${network}\n`);
    }
  });

  it("lead to the namespace of the stack with --net=host, and go with no network that is not the container's own", async () => {
    const port = await freePort('127.0.0.2');
    await serve('h', '--net', 'host', '-p', `127.0.0.2:${port}:80`, '-p', `127.0.0.2:${port}:53/udp`);
    assert.deepEqual(await listeners(port), [`tcp 127.0.0.2:${port}`, `udp 127.0.0.2:${port}`]);
    assert.deepEqual([await get('127.0.0.2', port), await getUdp('127.0.0.2', port)], ['h\n', 'h\n']);
    await stack.must('rm', '-f', 'h');
    assert.deepEqual(await listeners(port), []);
    const { pid } = await startContainer(stack, { name: 'other', network: { mode: 'none' } });
    for (const [network, mode] of [
      ['none', 'none'],
      ['container:other', 'container'],
      [`ns:/proc/${pid}/ns/net`, 'ns'],
    ]) {
      assert.equal(
        await refused(['--net', network ?? '', '-p', `127.0.0.2:${port}:80`]),
        `error: published ports (-p) cannot be combined with --network=${mode}\n`,
      );
    }
    assert.deepEqual(await listeners(port), []);
  });
});

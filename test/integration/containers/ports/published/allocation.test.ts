import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { freePort, openConnection, waitFor } from '../../../../support/index.js';
import {
  busyboxRootfs,
  IDLE,
  kill,
  removeAll,
  startContainer,
  startContainerStack,
  tryIn,
  WEB,
} from '../../../../support/stacks/containers.js';
import { freeRange, listenOn, listenOnce } from '../../../ports/suite/common.js';
import { get, getUdp, listeners, withPublishing } from './publishing.js';

describe('published ports of containers', () => {
  const { stack, serve, refused } = withPublishing();

  it('are shown one by one, and an unpublished one is an error', async () => {
    const port = await freePort('127.0.0.1');
    await serve('c', '-p', `127.0.0.1:${port}:80`, '-p', `[::1]:${port}:80`);
    assert.equal(await stack.must('port', 'c', '80'), `127.0.0.1:${port}\n[::1]:${port}`);
    assert.equal(await stack.must('port', 'c', '80/tcp'), `127.0.0.1:${port}\n[::1]:${port}`);
    for (const [asked, message] of [
      ['80/udp', "no public port '80/udp' published for c"],
      ['81', "no public port '81/tcp' published for c"],
      ['http', 'invalid port "http": expected containerPort[/proto], such as 80/tcp'],
    ]) {
      const { code, stderr } = await stack.net('port', 'c', asked ?? '');
      assert.deepEqual([code, stderr], [1, `error: ${message}\n`]);
    }
    await stack.must('stop', 'c');
    assert.equal(await stack.must('port', 'c'), '');
  });

  it('can be ranges, of as many ports, or of the host for one of the container', async () => {
    const first = await freeRange('127.0.0.2', 5);
    const { ports } = await startContainer(stack, {
      command: WEB,
      publish: [0, 1, 2].map((offset) => ({
        ...{ hostIP: '127.0.0.2', hostPort: first + offset, containerPort: 80 + offset, protocol: 'tcp' },
      })),
    });
    assert.deepEqual(
      ports.map(({ hostPort }) => hostPort),
      [first, first + 1, first + 2],
    );
    // The first three are in use, so it is the fourth.
    const { stderr } = await stack.net(
      ...['run', '-d', '--name', 'next', '-p', `127.0.0.2:${first}-${first + 4}:80`, '--rootfs', busyboxRootfs()],
      ...['--', ...WEB],
    );
    assert.equal(stderr, `published 127.0.0.2:${first + 3} to 80/tcp\n`);
    assert.equal(await stack.must('port', 'next'), `80/tcp -> 127.0.0.2:${first + 3}`);
    await stack.must('rm', '-f', 'next');
    await using _holder = await listenOn('127.0.0.2', first + 3);
    const message = await refused(['-p', `127.0.0.2:${first}-${first + 3}:80`]);
    assert.equal(
      message,
      `error: listen tcp 127.0.0.2:${first}-${first + 3}: all ports of the range are in use; give a larger one, or another address\n`,
    );
  });

  it('can be all those that are exposed', async () => {
    const port = await freePort('127.0.0.1');
    const exposed = ['--expose', '80', '--expose', '53/udp', '--expose', '90-91', '-p', `127.0.0.1:${port}:90`];
    const { ports } = await serve('all', '-P', ...exposed);
    assert.deepEqual(
      ports.map(({ hostIP, containerPort, protocol }) => `${hostIP}:${containerPort}/${protocol}`),
      ['127.0.0.1:90/tcp', ':80/tcp', ':53/udp', ':91/tcp'],
    );
    assert.deepEqual(
      [await get('127.0.0.1', ports[1]?.hostPort ?? 0), await getUdp('::1', ports[2]?.hostPort ?? 0)],
      ['all\n', 'all\n'],
    );
    await stack.must('rm', '-f', 'all');
    const { ports: none } = await serve('none', ...exposed.slice(0, 6));
    assert.deepEqual(none, []);
    for (const text of ['8080:80', 'http', '80/sctp']) assert.match(await refused(['--expose', text]), /80|http/);
  });

  it('are free again after stop, kill -9 of the process, kill, rm --force and the end of the program', async () => {
    const port = await freePort('127.0.0.2');
    const publish = [
      { hostIP: '127.0.0.2', hostPort: port, containerPort: 80, protocol: 'tcp' as const },
      { hostIP: '127.0.0.2', hostPort: port, containerPort: 53, protocol: 'udp' as const },
    ];
    for (const end of [
      () => stack.containers.stop('c'),
      async () => kill((await stack.containers.inspect('c')).pid),
      () => stack.containers.kill('c'),
      () => stack.containers.remove('c', { force: true }),
      // The end of its first process may end the one that reports it, too.
      () => tryIn(stack, 'c', 'kill', '1'),
    ]) {
      await startContainer(stack, { name: 'c', publish, command: WEB });
      assert.deepEqual(await listeners(port), [`tcp 127.0.0.2:${port}`, `udp 127.0.0.2:${port}`]);
      // One that is open keeps nothing.
      const connection = await waitFor(() => openConnection('127.0.0.2', port), { what: 'the server' });
      connection.on('error', () => {});
      await end();
      await waitFor(async () => (await listeners(port)).length === 0, { what: `${port} to be free` });
      await listenOnce('127.0.0.2', port);
      connection.destroy();
      await removeAll(stack);
    }
  });

  it('that are in use are named, and nothing is made of the container', async () => {
    const servers = [await listenOn('127.0.0.2', 0), await listenOn('::', 0)];
    const [one = 0, every = 0] = servers.map(({ port }) => port);
    const udp = createSocket('udp4');
    await new Promise<void>((resolve) => udp.bind(0, '127.0.0.2', resolve));
    const held = await freePort('127.0.0.2');
    const hold = { hostIP: '127.0.0.2', hostPort: held, containerPort: 80, protocol: 'tcp' as const };
    await startContainer(stack, { name: 'holder', publish: [hold] });
    const files = stack.files();
    try {
      for (const [spec, where] of [
        [`127.0.0.2:${one}:80`, `tcp 127.0.0.2:${one}`],
        [`0.0.0.0:${one}:80`, `tcp4 0.0.0.0:${one}`],
        [`${one}:80`, `tcp :${one}`],
        [`[::1]:${every}:80`, `tcp [::1]:${every}`],
        [`127.0.0.2:${udp.address().port}:53/udp`, `udp 127.0.0.2:${udp.address().port}`],
      ]) {
        assert.equal(
          await refused(['-p', spec ?? '']),
          `error: listen ${where}: bind: address already in use; stop what listens there (ss -lntup shows it), or choose another port or address\n`,
        );
      }
      for (const [spec, where] of [
        [`127.0.0.2:${held}:80`, `tcp 127.0.0.2:${held}`],
        [`${held}:80`, `tcp :${held}`],
      ]) {
        assert.equal(
          await refused(['-p', spec ?? '']),
          `error: listen ${where}: bind: address already in use; the container holder has published it; hint: stop that one, or choose another port or address\n`,
        );
      }
      assert.match(await refused(['-p', '203.0.113.1:8080:80']), /203\.0\.113\.1:8080: bind: cannot assign requested/);
      const twice = ['-p', `127.0.0.3:${held}:80`, '-p', `127.0.0.3:${held}:81`];
      assert.match(
        await refused(twice),
        new RegExp(`listen tcp 127\\.0\\.0\\.3:${held}: bind: address already in use; it is published twice; hint: `),
      );
      assert.deepEqual(await listeners(held), [`tcp 127.0.0.2:${held}`]);
      assert.deepEqual(
        (await stack.containers.list()).map(({ name }) => name),
        ['holder'],
      );
      assert.deepEqual(stack.files(), files);
    } finally {
      udp.close();
      for (const server of servers) await server[Symbol.asyncDispose]();
    }
  });

  it('are all or none', async () => {
    const first = await freeRange('127.0.0.2', 10);
    const files = stack.files();
    const holder = await listenOn('127.0.0.2', first + 7);
    try {
      const spec = `127.0.0.2:${first}-${first + 9}:8000-8009`;
      const message = `listen tcp 127\\.0\\.0\\.2:${first + 7}: bind: address already in use`;
      assert.match(await refused(['-p', spec]), new RegExp(message));
      for (let port = first; port < first + 10; port++) {
        assert.deepEqual(await listeners(port), port === first + 7 ? [`tcp 127.0.0.2:${port}`] : []);
      }
      assert.deepEqual(stack.files(), files);
      // One that exists stays as it was, and can be started when the port is free.
      await stack.must('create', '--name', 'later', '-p', spec, '--rootfs', busyboxRootfs(), '--', ...IDLE);
      assert.equal((await stack.net('start', 'later')).code, 1);
      assert.equal((await stack.containers.inspect('later')).status, 'created');
    } finally {
      await holder[Symbol.asyncDispose]();
    }
    await stack.must('start', 'later');
    assert.deepEqual((await stack.containers.inspect('later')).ports, [
      { hostIP: '127.0.0.2', hostPort: first, containerPort: 8000, protocol: 'tcp', count: 10 },
    ]);
  });
  it('are refused if the port driver cannot open them', async () => {
    await using other = await startContainerStack({ args: ['--net=none', '--port-driver=none'] });
    const words = ['run', '-d', '-p', '127.0.0.2::80', '--rootfs', busyboxRootfs(), '--', ...IDLE];
    const { code, stderr } = await other.net(...words);
    assert.equal(code, 125);
    assert.match(
      stderr,
      /^error: the port driver none cannot publish ports of containers; start the stack with [^\n]*\n$/,
    );
    assert.deepEqual(other.files(), []);
  });
});

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import {
  busyboxRootfs,
  type ContainerStack,
  HOST_PROGRAMS,
  IDLE,
  kill,
  NAME_SERVER,
  onNetworks,
  removeAll,
  startContainer,
  startContainerStack,
  tryIn,
  WEB,
} from '../../support/containers.js';
import {
  accepts,
  freePort,
  hostAddresses,
  listensNow,
  openConnection,
  run,
  tcpOutcome,
  tcpRequest,
  udpAsk,
  waitFor,
} from '../../support/index.js';
import { bracket, freeRange, listenOn, listenOnce, RESET } from '../port-suite/common.js';

describe('published ports of containers', () => {
  let stack: ContainerStack;
  before(async () => {
    stack = await startContainerStack();
  });
  afterEach(async () => {
    await removeAll(stack);
    assert.deepEqual(
      (await stack.api.listPorts()).map(({ spec }) => spec),
      [],
    );
  });
  after(async () => {
    await stack?.[Symbol.asyncDispose]();
  });

  /** What a web server answers, without the header. */
  const get = async (host: string, port: number) =>
    (await tcpRequest(host, port, 'GET / HTTP/1.0\r\n\r\n')).toString().replace(/^.*\r\n\r\n/s, '');
  const getUdp = async (host: string, port: number) => (await udpAsk(host, port, '?')).toString();
  const refuses = (promise: Promise<unknown>) => assert.rejects(promise, { code: 'ECONNREFUSED' });
  /** Addresses on which anything listens on the host, as ss(8) writes them, by protocol. */
  const listeners = async (port: number) => {
    const { stdout } = await run('ss', ['-Hlntu', `sport = ${port}`]);
    const lines = stdout.split('\n').filter((line) => line !== '');
    return lines
      .map((line) => line.trim().split(/\s+/))
      .map(([protocol, , , , local]) => `${protocol} ${local}`)
      .sort();
  };
  /** Runs a container with rootless-net; resolves with its report when its servers are ready. */
  const serve = async (name: string, ...options: string[]) => {
    const mounts = HOST_PROGRAMS.flatMap((mount) => ['-v', mount]);
    const words = ['run', '-d', '--name', name, '--hostname', name, ...options, ...mounts, '--rootfs', busyboxRootfs()];
    const { code, stderr } = await stack.net(...words, '--', ...NAME_SERVER);
    assert.equal(code, 0, stderr);
    const report = await stack.containers.inspect(name);
    await ready(report.pid);
    return report;
  };
  const ready = (pid = 0) =>
    waitFor(() => listensNow(pid, 80) && listensNow(pid, 53, 'udp'), { what: 'the servers in the container' });
  const refused = async (options: readonly string[]): Promise<string> => {
    const words = ['run', '-d', ...options, '--rootfs', busyboxRootfs(), '--', ...IDLE];
    const { code, stdout, stderr } = await stack.net(...words);
    assert.deepEqual([code, stdout], [1, ''], options.join(' '));
    assert.match(stderr, /^error: [^\n]*\n$/);
    return stderr;
  };

  interface Published {
    /** As -p takes it. */
    ip: string;
    /** As ss(8) writes it. */
    shown: string;
    /** Where a client finds it … */
    clients: string[];
    /** … and where not. */
    elsewhere: string[];
  }
  const lan = hostAddresses.v4 ? [hostAddresses.v4] : [];
  const lan6 = hostAddresses.v6 ? [hostAddresses.v6] : [];
  const table: Published[] = [
    { ip: '127.0.0.1', shown: '127.0.0.1', clients: ['127.0.0.1'], elsewhere: ['127.0.0.2', '::1', ...lan] },
    { ip: '127.0.0.2', shown: '127.0.0.2', clients: ['127.0.0.2'], elsewhere: ['127.0.0.1', '127.0.0.3', '::1'] },
    { ip: '127.0.0.3', shown: '127.0.0.3', clients: ['127.0.0.3'], elsewhere: ['127.0.0.1', '127.0.0.2', ...lan] },
    { ip: '0.0.0.0', shown: '0.0.0.0', clients: ['127.0.0.1', '127.0.0.2', ...lan], elsewhere: ['::1', ...lan6] },
    { ip: '[::]', shown: '[::]', clients: ['::1', ...lan6], elsewhere: ['127.0.0.1', ...lan] },
    { ip: '[::1]', shown: '[::1]', clients: ['::1'], elsewhere: ['127.0.0.1', ...lan6] },
    { ip: '', shown: '*', clients: ['127.0.0.1', '127.0.0.2', '::1', ...lan, ...lan6], elsewhere: [] },
    ...lan.map((ip) => ({ ip, shown: ip, clients: [ip], elsewhere: ['127.0.0.1', '::1', ...lan6] })),
    ...lan6.map((ip) => ({
      ip: bracket(ip),
      shown: bracket(ip),
      clients: [ip],
      elsewhere: ['127.0.0.1', '::1', ...lan],
    })),
  ];
  for (const { ip, shown, clients, elsewhere } of table) {
    it(`are reached at ${ip || 'every address'} and nowhere else, TCP and UDP, on a given and on any free port`, async () => {
      const port = await freePort(clients[0] ?? '');
      const before = ip === '' ? '' : `${ip}:`;
      const given = ['-p', `${before}${port}:80`, '-p', `${before}${port}:53/udp`];
      const any = ['-p', ip === '' ? '80' : `${ip}::80`, '-p', ip === '' ? '53/udp' : `${ip}::53/udp`];
      const { id, ports } = await serve('c', ...given, ...any);
      const [tcp = 0, udp = 0] = ports.slice(2).map(({ hostPort }) => hostPort);
      assert(tcp > 0 && udp > 0);

      assert.deepEqual(await listeners(port), [`tcp ${shown}:${port}`, `udp ${shown}:${port}`]);
      assert.deepEqual(await listeners(tcp), [`tcp ${shown}:${tcp}`]);
      assert.deepEqual(await listeners(udp), [`udp ${shown}:${udp}`]);
      for (const host of clients) {
        assert.deepEqual([await get(host, port), await get(host, tcp)], ['c\n', 'c\n'], host);
        assert.deepEqual([await getUdp(host, port), await getUdp(host, udp)], ['c\n', 'c\n'], host);
      }
      for (const host of elsewhere) {
        for (const number of [port, tcp]) assert.equal(await accepts(host, number), false, host);
        for (const number of [port, udp]) await refuses(getUdp(host, number));
      }
      assert.equal(
        await stack.must('port', 'c'),
        [
          `80/tcp -> ${shown}:${port}`,
          `53/udp -> ${shown}:${port}`,
          `80/tcp -> ${shown}:${tcp}`,
          `53/udp -> ${shown}:${udp}`,
        ].join('\n'),
      );
      const row = (await stack.must('ps')).split('\n').find((line) => line.startsWith(id.slice(0, 12))) ?? '';
      assert(row.includes(`${shown}:${port}->80/tcp, ${shown}:${port}->53/udp, ${shown}:${tcp}->80/tcp`), row);
      await stack.must('stop', 'c');
      assert.deepEqual([await listeners(port), await listeners(tcp), await listeners(udp)], [[], [], []]);
    });
  }

  it('are shown one by one, and the miss of one is told', async () => {
    const port = await freePort('127.0.0.1');
    await serve('c', '-p', `127.0.0.1:${port}:80`, '-p', `[::1]:${port}:80`);
    assert.equal(await stack.must('port', 'c', '80'), `127.0.0.1:${port}\n[::1]:${port}`);
    assert.equal(await stack.must('port', 'c', '80/tcp'), `127.0.0.1:${port}\n[::1]:${port}`);
    for (const [asked, message] of [
      ['80/udp', 'no public port 80/udp published for c'],
      ['81', 'no public port 81/tcp published for c'],
      ['http', '"http" is no port; expected containerPort[/proto], such as 80/tcp'],
    ]) {
      const { code, stderr } = await stack.net('port', 'c', asked ?? '');
      assert.deepEqual([code, stderr], [1, `error: ${message}\n`]);
    }
    await stack.must('stop', 'c');
    assert.equal(await stack.must('port', 'c'), '');
  });

  it('of two containers can have the same number on two addresses', async () => {
    const port = await freePort('127.0.0.2');
    await Promise.all([serve('two', '-p', `127.0.0.2:${port}:80`), serve('three', '-p', `127.0.0.3:${port}:80`)]);
    assert.deepEqual(await listeners(port), [`tcp 127.0.0.2:${port}`, `tcp 127.0.0.3:${port}`]);
    assert.deepEqual([await get('127.0.0.2', port), await get('127.0.0.3', port)], ['two\n', 'three\n']);
    assert.equal(await accepts('127.0.0.1', port), false);
    await stack.must('rm', '-f', 'two');
    assert.deepEqual(await listeners(port), [`tcp 127.0.0.3:${port}`]);
    assert.equal(await get('127.0.0.3', port), 'three\n');
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
    // The first three are taken, so it is the fourth.
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
      async () => kill((await stack.containers.inspect('c')).pid ?? 0),
      () => stack.containers.kill('c'),
      () => stack.containers.remove('c', { force: true }),
      // The end of its first process may take the one that tells it along.
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

  it('that are taken are named, and nothing is made of the container', async () => {
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
        [`127.0.0.2:${held}:80`, `tcp 127.0.0.2:${held}`],
      ]) {
        assert.equal(
          await refused(['-p', spec ?? '']),
          `error: listen ${where}: bind: address already in use; stop what listens there (ss -lntup shows it), or choose another port or address\n`,
        );
      }
      assert.match(await refused(['-p', '203.0.113.1:8080:80']), /203\.0\.113\.1:8080: bind: cannot assign requested/);
      const twice = ['-p', `127.0.0.3:${held}:80`, '-p', `127.0.0.3:${held}:81`];
      assert.match(
        await refused(twice),
        new RegExp(`listen tcp 127\\.0\\.0\\.3:${held}: bind: address already in use`),
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
    assert.equal((await stack.containers.inspect('later')).ports.length, 10);
  });

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
    await ready((await stack.containers.inspect('c')).pid);
    assert.equal(await get('127.0.0.2', port), 'c\n');
  });

  it('lead to containers that nobody else can reach', async () => {
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

  it('are refused where the port driver cannot open them', async () => {
    await using other = await startContainerStack({ args: ['--net=none', '--port-driver=none'] });
    const words = ['run', '-d', '-p', '127.0.0.2::80', '--rootfs', busyboxRootfs(), '--', ...IDLE];
    const { code, stderr } = await other.net(...words);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^error: the port driver none cannot publish ports of containers; start the stack with [^\n]*\n$/,
    );
    assert.deepEqual(other.files(), []);
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
        `error: published ports (-p) cannot go with --network=${mode}\n`,
      );
    }
    assert.deepEqual(await listeners(port), []);
  });
});

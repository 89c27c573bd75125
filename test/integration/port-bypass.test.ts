import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bridgeAddress, hasBridge } from '../setup/lxc-bridge.js';
import {
  accepts,
  freePort,
  openConnection,
  outcomeOf,
  type Published,
  programPath,
  type RunningStack,
  run,
  startStack,
  tcpOutcome,
  tcpRequest,
  tempDir,
  udpAsk,
  waitFor,
} from '../support/index.js';
import { type StackBelow, startBelow, startBypassed } from './port-suite/below.js';
import { listenOnce, RESET } from './port-suite/common.js';
import { driverCapabilities, groups, portDriverSuite } from './port-suite.js';

// With --allow-host-loopback UDP, too.
const portDriverArgs = ['--port-driver=bypass', '--allow-host-loopback'];
const capabilities = driverCapabilities.bypass;

portDriverSuite('port driver bypass', { netArgs: ['--net=none'], portDriverArgs, capabilities, start: startBypassed }, [
  groups.addresses,
  groups.protocols,
  groups.servers,
  groups.connections,
  groups.ends,
  groups.datagrams,
]);

portDriverSuite(
  'port driver bypass, with servers that are not below the command',
  { netArgs: ['--net=none'], portDriverArgs, capabilities },
  [groups.ports],
);

const args = ['--net=none', '--port-driver=bypass'];

/** Waits until a server inside has the port itself, or not. */
async function isBypassed(stack: RunningStack, id: number, wanted = true): Promise<void> {
  await waitFor(async () => (await stack.report(id)).bypass === wanted, {
    what: `port ${id} to be ${wanted ? 'bypassed' : 'relayed'}`,
  });
}

/** A stack whose command is a server that has its published port itself; the first, where there are several. */
async function serve(
  command: readonly string[],
  publish: readonly string[],
): Promise<{ stack: RunningStack; ports: Published[] }> {
  const stack = await startStack({ args, publish, command });
  try {
    await isBypassed(stack, 1);
    return { stack, ports: await stack.published() };
  } catch (error) {
    await stack[Symbol.asyncDispose]();
    throw new Error(`the port is not bypassed; it said:\n${stack.started.output()}`, { cause: error });
  }
}

/** Runs a program; fails with what it said unless it ends well. */
async function succeed(command: string, ...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(command, words, { timeout: 30_000 });
  assert.equal(code, 0, `${command} ${words.join(' ')} ended with ${code}:\n${stdout}${stderr}`);
  return stdout;
}

/** The sockets of the host that listen on a port, with their processes, as ss(8) shows them. */
async function listeners(port: number): Promise<string[]> {
  return (await succeed('ss', '-Hltnp', `sport = :${port}`)).trim().split('\n').filter(Boolean);
}

const ask = async (host: string, port: number) => (await tcpRequest(host, port)).toString();
const python = (script: string, ...words: (string | number)[]) => ['python3', '-u', '-c', script, ...words.map(String)];

/** A Python server for published ports: what is common to those below. */
const LISTEN = `
import os, select, socket, sys
def listen(port, host='127.0.0.1', before=lambda s: None, backlog=16):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    before(s)
    s.bind((host, port))
    s.listen(backlog)
    return s
def answer(s, text):
    c, _ = s.accept()
    c.sendall(text.encode())
    c.close()
`;

describe('port driver bypass, servers as people run them', () => {
  const nginx = () => {
    const directory = tempDir();
    mkdirSync(join(directory, 'www'));
    writeFileSync(join(directory, 'www', 'index.html'), 'the page');
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
    writeFileSync(
      join(directory, 'nginx.conf'),
      `user root root; worker_processes 2; pid ${directory}/pid; events {}
       http {
         access_log off;
         ${temporary.map((name) => `${name}_temp_path ${directory}/${name};`).join(' ')}
         server { listen 80; root ${directory}/www; }
       }`,
    );
    return ['nginx', '-e', 'stderr', '-p', directory, '-c', 'nginx.conf', '-g', 'daemon off;'];
  };
  const page = async (port: number) =>
    assert.equal(await succeed('curl', '--silent', '--fail', `http://127.0.0.2:${port}/`), 'the page');
  const cases: [
    name: string,
    command: () => readonly string[],
    inside: number,
    use: (port: number) => Promise<void>,
  ][] = [
    ['nginx', nginx, 80, page],
    [
      'redis-server',
      () => ['redis-server', '--port', '6379', '--bind', '127.0.0.1', '--save', '', '--dir', tempDir()],
      6379,
      async (port) => {
        const to = ['-h', '127.0.0.2', '-p', String(port)];
        assert.equal(await succeed('redis-cli', ...to, 'set', 'key', 'value'), 'OK\n');
        assert.equal(await succeed('redis-cli', ...to, 'get', 'key'), 'value\n');
        await succeed('redis-benchmark', ...to, '-n', '2000', '-c', '50', '-t', 'set,get', '-q');
      },
    ],
    [
      'iperf3',
      () => ['iperf3', '-s', '-p', '5201'],
      5201,
      async (port) => {
        for (const way of [[], ['-R'], ['-P', '3']]) {
          const client = ['-c', '127.0.0.2', '-p', String(port), '-n', '20M', '-J', ...way];
          // For a moment it is busy with the last client, and says so in place of a result.
          const received = await waitFor(
            async () => JSON.parse(await succeed('iperf3', ...client)).end.sum_received?.bytes,
            { what: 'the server to have time' },
          );
          assert.ok(received > 1_000_000, `${received} bytes`);
        }
      },
    ],
    [
      'python3',
      () => {
        const directory = tempDir();
        writeFileSync(join(directory, 'index.html'), 'the page');
        return ['python3', '-m', 'http.server', '--directory', directory, '80'];
      },
      80,
      page,
    ],
    [
      'node',
      () => [
        process.execPath,
        '-e',
        `process.title = 'node'; require('node:http').createServer((_, r) => r.end('the page')).listen(80)`,
      ],
      80,
      page,
    ],
  ];

  for (const [name, command, inside, use] of cases) {
    it(`${name} has the host's address itself`, async () => {
      const { stack, ports } = await serve(command(), [`127.0.0.2:0:${inside}`]);
      await using _stack = stack;
      const [{ port } = { port: 0 }] = ports;
      await use(port);
      // Some listen anew after each client.
      const itself = new RegExp(`127\\.0\\.0\\.2\\]?:${port} .*"${name}"`);
      let sockets: string[] = [];
      await waitFor(
        async () => {
          sockets = await listeners(port);
          return sockets.length === 1 && itself.test(sockets[0] ?? '');
        },
        { what: `the one listener to be that of ${name}` },
      ).catch(() => assert.fail(sockets.join('\n')));
      await isBypassed(stack, 1);
      assert.equal((await stack.counters(1)).opened, 0, 'something was relayed');
      const { stdout } = await stack.ctl('list-ports');
      assert.match(stdout, /BYPASS *\n1 .* yes *\n/);
    });
  }
});

describe('port driver bypass', () => {
  let stack: StackBelow;
  before(async () => {
    stack = await startBelow({ args });
  });
  afterEach(async () => {
    for (const { id } of await stack.published()) await stack.api.removePort(id);
  });
  after(() => stack?.[Symbol.asyncDispose]());

  /** Publishes a port, and starts a server below the command for it, which says "ready". */
  async function server(inside: number, script: string, spec = `127.0.0.2:0:${inside}`) {
    const published = await stack.publish(spec);
    const started = await stack.run(python(LISTEN + script, inside), /^ready$/m);
    return {
      ...published,
      started,
      async [Symbol.asyncDispose]() {
        await started[Symbol.asyncDispose]();
      },
    };
  }

  it('shows servers the address and the port of clients, of those on loopback, too', async () => {
    const { host, port } = await stack.publish('127.0.0.2:0:8001');
    await using _server = await stack.program('tcp-server', 'client', '127.0.0.1', 8001);
    const socket = await openConnection(host, port, '127.0.0.7');
    const own = `127.0.0.7 ${socket.localPort}`;
    assert.equal((await outcomeOf(socket)).data.toString(), own);
  });

  it('lets programs inside reach the server as before, below the command and beside it', async () => {
    await using it = await server(8002, `s = listen(int(sys.argv[1]))\nprint('ready')\nwhile True: answer(s, 'hello')`);
    await isBypassed(stack, it.id);
    const script = `import socket; print(socket.create_connection(('127.0.0.1', 8002), 5).recv(9).decode())`;
    assert.equal((await stack.enter('python3', '-c', script)).stdout, 'hello\n');
    await stack.run(['python3', '-c', script], /^hello$/m);
    assert.equal(await ask(it.host, it.port), 'hello');
  });

  it('leads further ports to the same server', async () => {
    await using it = await server(8003, `s = listen(int(sys.argv[1]))\nprint('ready')\nwhile True: answer(s, 'hello')`);
    const [second, third] = [await stack.publish('127.0.0.3:0:8003'), await stack.publish('0:8003')];
    for (const { host, port } of [it, second, third]) assert.equal(await ask(host, port), 'hello');
    assert.equal(await ask('::1', third.port), 'hello');
    const bypassed = await Promise.all([it, second, third].map(async ({ id }) => (await stack.report(id)).bypass));
    assert.deepEqual(bypassed, [true, false, false]);
  });

  it('serves the other address family of a port that is published on both', async () => {
    await using it = await server(
      8004,
      `s = listen(int(sys.argv[1]), '0.0.0.0')\nprint('ready')\nwhile True: answer(s, 'hello')`,
      '0:8004',
    );
    await isBypassed(stack, it.id);
    assert.match((await listeners(it.port)).join('\n'), new RegExp(`0\\.0\\.0\\.0:${it.port} .*"python3"`));
    for (const host of ['127.0.0.1', '127.0.0.9', '::1']) assert.equal(await ask(host, it.port), 'hello');
  });

  it('gives the port to the next server when one has ended, and relays to one that is not below the command', async () => {
    const script = `s = listen(int(sys.argv[1]))\nprint('ready')\nwhile True: answer(s, str(os.getpid()))`;
    const it = await server(8005, script);
    assert.equal(await ask(it.host, it.port), String(it.started.pid));
    for (let time = 0; time < 3; time++) {
      await it.started.stop('SIGTERM');
      // At once, and on the address that the first one had.
      it.started = await stack.run(python(LISTEN + script, 8005), /^ready$/m);
      assert.equal(await ask(it.host, it.port), String(it.started.pid));
      assert.equal((await stack.report(it.id)).bypass, true);
    }
    await it.started.stop('SIGTERM');
    await isBypassed(stack, it.id, false);
    assert.deepEqual(await tcpOutcome(it.host, it.port), RESET);
    await using _beside = await stack.inside(
      [process.execPath, programPath('tcp-server'), 'name', '127.0.0.1', '8005'],
      {
        output: /^ready$/m,
      },
    );
    assert.equal(await ask(it.host, it.port), '127.0.0.1');
    assert.equal((await stack.report(it.id)).bypass, false);
  });

  it('keeps the address while a server has it, and while it is handed over', async () => {
    const script = `s = listen(int(sys.argv[1]))\nprint('ready')\nsys.stdin.read()`;
    await using it = await server(8006, script);
    await isBypassed(stack, it.id);
    await assert.rejects(listenOnce(it.host, it.port), { code: 'EADDRINUSE' });
    await it.started.stop('SIGTERM');
    await assert.rejects(listenOnce(it.host, it.port), { code: 'EADDRINUSE' });
    await stack.api.removePort(it.id);
    await listenOnce(it.host, it.port);
  });

  it('ends the listener and the connections of a server with its port', async () => {
    await using it = await server(
      8007,
      `
s = listen(int(sys.argv[1]))
print('ready')
c, _ = s.accept()
c.sendall(b'in')
print('end', c.recv(10))
try: s.accept()
except OSError as e: print('accept', e.errno)
sys.stdin.read()`,
    );
    const socket = await openConnection(it.host, it.port);
    const outcome = outcomeOf(socket);
    await waitFor(() => socket.bytesRead > 0, { what: 'the greeting' });
    await stack.api.removePort(it.id);
    assert.deepEqual(await outcome, { data: Buffer.from('in'), ended: true, error: undefined });
    await listenOnce(it.host, it.port);
    await waitFor(() => it.started.output().includes("end b''\naccept 22\n"), { what: 'the server to see it' });
    const again = await stack.publish(`127.0.0.2:${it.port}:8007`);
    assert.deepEqual(await tcpOutcome(again.host, again.port), RESET);
  });

  it('leaves ports alone that are not published, and resets clients of those that nobody has bound', async () => {
    const unserved = await stack.publish('127.0.0.3:0:8010');
    await using it = await server(
      8008,
      `a = listen(int(sys.argv[1]), '0.0.0.0')\nb = listen(8009, '0.0.0.0')\nprint('ready')\nwhile True: answer(b, 'second')`,
    );
    await isBypassed(stack, it.id);
    for (const host of ['127.0.0.1', '127.0.0.2']) assert.equal(await accepts(host, 8009), false);
    const { stdout } = await stack.enter('bash', '-c', 'cat </dev/tcp/127.0.0.1/8009');
    assert.equal(stdout, 'second');
    assert.deepEqual(await tcpOutcome(unserved.host, unserved.port), RESET);
    assert.equal((await stack.report(unserved.id)).bypass, false);
  });

  it('does not take a port of a network namespace below for that of the stack', async () => {
    const { host, port, id } = await stack.publish('127.0.0.2:0:8011');
    const script = `${LISTEN}\ns = listen(8011, '0.0.0.0')\nprint('ready')\nsys.stdin.read()`;
    await using _server = await stack.run(['unshare', '--net', ...python(script)], /^ready$/m);
    assert.deepEqual(await tcpOutcome(host, port), RESET);
    assert.equal((await stack.report(id)).bypass, false);
  });

  const shapes: [name: string, script: string, processes: number][] = [
    [
      'processes that share the port (SO_REUSEPORT)',
      `
first = os.fork() > 0
s = listen(int(sys.argv[1]), before=lambda s: s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1))
if first: print('ready')
while True: answer(s, str(os.getpid()))`,
      2,
    ],
    [
      'processes that were forked behind listen, each in a blocking accept',
      `
s = listen(int(sys.argv[1]))
print('ready')
for _ in range(2): os.fork()
while True: answer(s, str(os.getpid()))`,
      4,
    ],
    [
      'one process with an epoll set',
      `
s = listen(int(sys.argv[1]), before=lambda s: s.setblocking(False))
e = select.epoll()
e.register(s, select.EPOLLIN | select.EPOLLET)
print('ready')
while True:
    e.poll()
    try:
        while True: answer(s, str(os.getpid()))
    except BlockingIOError: pass`,
      1,
    ],
    [
      'a process of another user, who cannot be looked at',
      `
os.setgroups([])
os.setgid(5)
os.setuid(5)
s = listen(int(sys.argv[1]))
print('ready')
while True: answer(s, str(os.getpid()))`,
      1,
    ],
    [
      'one process that listens twice, with another backlog',
      `
s = listen(int(sys.argv[1]))
s.listen(64)
print('ready')
while True: answer(s, str(os.getpid()))`,
      1,
    ],
  ];
  for (const [i, [name, script, processes]] of shapes.entries()) {
    it(`works with ${name}`, async () => {
      await using it = await server(8020 + i, script);
      await isBypassed(stack, it.id);
      const pids = new Set<string>();
      await waitFor(
        async () => {
          for (const pid of await Promise.all(Array.from({ length: 20 }, () => ask(it.host, it.port)))) pids.add(pid);
          return pids.size === processes;
        },
        { what: `all ${processes} to have answered` },
      );
      assert.ok(stack.below('python3').some(({ pid }) => pids.has(String(pid))));
      assert.equal((await stack.counters(it.id)).opened, 0, 'something was relayed');
    });
  }

  it('copies what was set on the socket, and what the descriptor is like', async () => {
    const options = [
      ['SOL_SOCKET', 'SO_KEEPALIVE', 1],
      ['SOL_SOCKET', 'SO_RCVBUF', 100_000],
      ['SOL_SOCKET', 'SO_SNDBUF', 50_000],
      ['IPPROTO_TCP', 'TCP_NODELAY', 1],
      ['IPPROTO_TCP', 'TCP_KEEPIDLE', 33],
      ['IPPROTO_TCP', 'TCP_DEFER_ACCEPT', 3],
      ['IPPROTO_TCP', 'TCP_USER_TIMEOUT', 4567],
      ['IPPROTO_IP', 'IP_TOS', 16],
    ];
    const names = options.map(([level, name]) => `(socket.${level}, socket.${name})`).join(', ');
    await using it = await server(
      8030,
      `
import fcntl, struct
def before(s):
    ${options.map(([level, name, value]) => `s.setsockopt(socket.${level}, socket.${name}, ${value})`).join('; ')}
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 5))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b'reno')
    s.setblocking(False)
def show(s):
    seen = [s.getsockopt(*name) for name in (${names})]
    seen.append(struct.unpack('ii', s.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)))
    seen.append(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b'\\0'))
    return seen + [fcntl.fcntl(s, fcntl.F_GETFL) & os.O_NONBLOCK, fcntl.fcntl(s, fcntl.F_GETFD)]
s = socket.socket()
before(s)
s.bind(('127.0.0.1', int(sys.argv[1])))
one = show(s)
s.listen()
print(one == show(s) or (one, show(s)), s.getsockname())
os.set_inheritable(s.fileno(), True)
print('ready')
sys.stdin.read()`,
    );
    assert.match(it.started.output(), new RegExp(`^True \\('127\\.0\\.0\\.2', ${it.port}\\)$`, 'm'));
  });

  it('relays to a server whose socket was in an epoll set before, and says so', async () => {
    await using it = await server(
      8031,
      `
e = select.epoll()
s = listen(int(sys.argv[1]), before=lambda s: (s.setblocking(False), e.register(s, select.EPOLLIN)))
print('ready')
while True:
    e.poll()
    answer(s, 'from epoll')`,
    );
    assert.equal(await ask(it.host, it.port), 'from epoll');
    const { bypass, bypassReason } = await stack.report(it.id);
    assert.deepEqual([bypass, bypassReason], [false, "the server's socket was in an epoll set already"]);
    assert.match((await stack.ctl('list-ports')).stdout, /no: the server's socket was in an epoll set already/);
  });

  it('relays where the server speaks another address family, or the PROXY protocol', async () => {
    const proxied = await stack.publish('127.0.0.3:0:8032+proxy1');
    await using it = await server(
      8032,
      `s = listen(int(sys.argv[1]))\nprint('ready')\nwhile True: answer(s, 'four')`,
      '[::1]:0:8032',
    );
    assert.equal(await ask('::1', it.port), 'four');
    assert.equal((await stack.report(it.id)).bypassReason, 'the server listens in the other address family');
    assert.equal((await stack.report(proxied.id)).bypassReason, 'connections begin with the PROXY protocol');
  });

  it('relays UDP, unless programs may reach the loopback of the host', async () => {
    const { id } = await stack.publish('127.0.0.2:0:8033/udp');
    const { bypass, bypassReason } = await stack.report(id);
    assert.equal(bypass, false);
    assert.match(bypassReason ?? '', /^a UDP socket of the host could send to its loopback; --allow-host-loopback/);
  });

  it('carries out connects of all kinds as the kernel would', async () => {
    const script = `${LISTEN}
import errno, signal, threading, time
def error(f):
    try: return f() or 'ok'
    except OSError as e: return errno.errorcode.get(e.errno, e)
full = listen(8041, backlog=0)
held = [socket.create_connection(('127.0.0.1', 8041))]
free = listen(8042)
print('refused', error(lambda: socket.create_connection(('127.0.0.1', 8043))))
print('bad', error(lambda: socket.socket(fileno=os.open('/dev/null', 0)).connect(('127.0.0.1', 8042))))
n = socket.socket(); n.setblocking(False)
print('pending', error(lambda: n.connect(('127.0.0.1', 8041))), error(lambda: n.connect(('127.0.0.1', 8041))))
l = socket.socket(); l.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, (1).to_bytes(8, 'little') + (0).to_bytes(8, 'little'))
print('limit', error(lambda: l.connect(('127.0.0.1', 8041))))
signal.signal(signal.SIGALRM, lambda *_: print('alarm'))
signal.setitimer(signal.ITIMER_REAL, 0.2)
b = socket.socket()
def later():
    print('others', error(lambda: socket.create_connection(('127.0.0.1', 8042)).close()))
    for _ in range(4): full.accept()
threading.Timer(0.5, later).start()
print('blocking', error(lambda: b.connect(('127.0.0.1', 8041))), b.getpeername())
u = socket.socket(type=socket.SOCK_DGRAM)
print('udp', error(lambda: u.connect(('127.0.0.1', 9))), u.getpeername())
print('again', error(lambda: held[0].connect(('127.0.0.1', 8041))))
six = socket.socket(socket.AF_INET6)
print('family', error(lambda: six.connect(('::ffff:127.0.0.1', 8042))))
x, y = socket.socketpair()
unix = socket.socket(socket.AF_UNIX)
print('unix', error(lambda: unix.connect('/no/such/socket')))
print('done'); os._exit(0)`;
    await using client = await stack.run(python(script), /^done$/m);
    const said = client.output().split('\n').slice(1, -2);
    assert.deepEqual(said, [
      'refused ECONNREFUSED',
      'bad ENOTSOCK',
      'pending EINPROGRESS EALREADY',
      'limit EINPROGRESS',
      'alarm',
      'others ok',
      "blocking ok ('127.0.0.1', 8041)",
      "udp ok ('127.0.0.1', 9)",
      'again EISCONN',
      'family ok',
      'unix ENOENT',
    ]);
  });
});

describe('port driver bypass, beside other options', () => {
  for (const more of [['--pidns'], ['--ipcns', '--utsns'], ['--copy-up=/etc']]) {
    it(`works with ${more.join(' ')}`, async () => {
      const script = `${LISTEN}\ns = listen(80)\nanswer(s, 'hello')\nselect.select([], [], [])`;
      await using stack = await startStack({
        args: ['--net=none', '--port-driver=bypass', ...more],
        publish: ['127.0.0.2:0:80'],
        command: python(script),
      });
      await isBypassed(stack, 1);
      const [{ host, port } = { host: '', port: 0 }] = await stack.published();
      assert.equal(await ask(host, port), 'hello');
      await stack.api.removePort(1);
      await listenOnce(host, port);
    });
  }
});

describe('port driver bypass, where the kernel has no such filters', () => {
  it('says so in a line, and relays', async () => {
    // seccomp(2) with SECCOMP_FILTER_FLAG_NEW_LISTENER is refused, as by a kernel that does not know the flag.
    const filter = `
import ctypes, os, struct, sys
libc = ctypes.CDLL(None)
number = {'x86_64': 317, 'aarch64': 277}[os.uname().machine]
code = [(0x20, 0, 0, 0), (0x15, 0, 3, number), (0x20, 0, 0, 24), (0x45, 0, 1, 8), (6, 0, 0, 0x50016), (6, 0, 0, 0x7fff0000)]
program = ctypes.create_string_buffer(b''.join(struct.pack('=HBBI', *line) for line in code))
assert libc.syscall(number, 1, 0, struct.pack('@HxxxxxxQ', len(code), ctypes.addressof(program))) == 0
os.execvp(sys.argv[1], sys.argv[1:])`;
    await using stack = await startStack({
      args,
      publish: ['127.0.0.2:0:8001'],
      command: [process.execPath, programPath('tcp-server'), 'name', '127.0.0.1', '8001'],
      // As root of a user namespace it may make the filter without giving up setuid programs, which set up the ids.
      wrapper: ['unshare', '--user', '--map-root-user', 'python3', '-c', filter],
    });
    await waitFor(() => /^ready$/m.test(stack.started.output()), { what: 'the server' });
    const [{ host, port } = { host: '', port: 0 }] = await stack.published();
    assert.equal(await ask(host, port), '127.0.0.1');
    assert.equal((await stack.report(1)).bypass, false);
    assert.match(
      stack.started.output(),
      /^rootless-run: warning: ports are relayed, not bypassed: the command cannot be filtered: seccomp\(SECCOMP_FILTER_FLAG_NEW_LISTENER\): Invalid argument$/m,
    );
  });
});

/** A program that says what it was started with (sd_listen_fds(3)), and then answers on each socket with its number. */
const ACTIVATED = `
import os, select, socket
names = os.environ['LISTEN_FDNAMES'].split(':')
assert int(os.environ['LISTEN_PID']) == os.getpid() and int(os.environ['LISTEN_FDS']) == len(names)
sockets = [socket.socket(fileno=3 + i) for i in range(len(names))]
for name, s in zip(names, sockets): print(name, s.type.name, s.getblocking(), s.getsockname()[1], flush=True)
while True:
    for s in select.select(sockets, [], [])[0]:
        text = f'{s.fileno()} {names[s.fileno() - 3]}'.encode()
        if s.type == socket.SOCK_DGRAM:
            data, who = s.recvfrom(100)
            s.sendto(text, who)
            continue
        try: c, who = s.accept()
        except OSError: sockets.remove(s); continue
        c.sendall(text)
        c.close()
`;

describe('--activate', () => {
  it('starts the command with the sockets of its ports, under the names of its own', async () => {
    await using stack = await startStack({
      args: ['--net=none', '--port-driver=bypass', '--activate', '--allow-host-loopback'],
      publish: ['127.0.0.2:0:80', '127.0.0.3:0:443', '127.0.0.2:0:53/udp'],
      command: ['python3', '-c', ACTIVATED],
    });
    const ports = await stack.published();
    const [web, secure, names] = ports;
    assert(web && secure && names);
    assert.equal(await ask(web.host, web.port), '3 80/tcp');
    assert.equal(await ask(secure.host, secure.port), '4 443/tcp');
    assert.equal((await udpAsk(names.host, names.port, '?')).toString(), '5 53/udp');
    for (const { id } of ports) assert.equal((await stack.report(id)).bypass, true);
    assert.match(
      stack.started.output(),
      new RegExp(
        `^80/tcp SOCK_STREAM True ${web.port}\n443/tcp SOCK_STREAM True ${secure.port}\n53/udp SOCK_DGRAM True ${names.port}$`,
        'm',
      ),
    );
    await stack.api.removePort(web.id);
    await listenOnce(web.host, web.port);
    assert.equal(await ask(secure.host, secure.port), '4 443/tcp');
  });

  it('puts them behind those that a service manager has passed', async () => {
    const outer = await freePort('127.0.0.4');
    const manager = `
import os, socket, sys
s = socket.create_server(('127.0.0.4', int(sys.argv[1])))
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES='outer')
os.execvp(sys.argv[2], sys.argv[2:])`;
    await using stack = await startStack({
      wrapper: ['python3', '-c', manager, String(outer)],
      args: ['--net=none', '--port-driver=bypass', '--activate'],
      publish: ['127.0.0.2:0:80'],
      command: ['python3', '-c', ACTIVATED],
    });
    const [inner] = await stack.published();
    assert(inner);
    assert.equal(await ask('127.0.0.4', outer), '3 outer');
    assert.equal(await ask(inner.host, inner.port), '4 80/tcp');
  });
});

describe('--bypass-outbound', () => {
  before(function () {
    if (!hasBridge()) this.skip();
  });

  it('makes connections to the outside in the network of the host, and no others', async () => {
    await using outside = await startStack({ args: ['--net=lxc-user-nic'] });
    await using _server = await outside.program('tcp-server', 'client', '0.0.0.0', 8001);
    const { stdout } = await outside.enter('ip', '-4', '-o', 'addr', 'show', 'eth0');
    const address = /10\.124\.0\.\d+/.exec(stdout)?.[0] ?? '';
    const script = `${LISTEN}
import errno, threading
def own(host, port, setup=lambda s: None):
    s = socket.socket()
    s.settimeout(5)
    setup(s)
    try: s.connect((host, port))
    except OSError as e: return e.errno and errno.errorcode[e.errno] or e
    return s.getsockname()[0], s.recv(100).decode()
outside, host = sys.argv[1:]
inner = listen(8002)
threading.Thread(target=lambda: [answer(inner, 'inner') for _ in range(1)]).start()
e = select.epoll()
for name, it in (
    ('outside', own(outside, 8001)),
    ('tied', own(outside, 8001, lambda s: s.bind(('10.0.2.100', 0)))),
    ('polled', own(outside, 8001, lambda s: e.register(s))),
    ('refused', own(outside, 8009)),
    ('loopback', own('127.0.0.1', 8002)),
): print(name, *(it if isinstance(it, tuple) else [it]), flush=True)
s = socket.socket()
s.connect((outside, 8001))
libc = __import__('ctypes').CDLL(None, use_errno=True)
for there in ('127.0.0.1', host, '0.0.0.0'):
    libc.connect(s.fileno(), bytes(16), 16)
    try: print('again', s.connect((there, 22)))
    except OSError as e: print('again', errno.errorcode[e.errno])
print('done', flush=True)`;
    await using stack = await startBelow({ args: ['--net=slirp4netns', '--port-driver=bypass', '--bypass-outbound'] });
    await using program = await stack.run(python(script, address, bridgeAddress), /^done$/m);
    const said = program.output().replace(/ \d+$/gm, '').split('\n').slice(1, -1);
    assert.deepEqual(said, [
      `outside ${bridgeAddress} ${bridgeAddress}`,
      `tied 10.0.2.100 ${bridgeAddress}`,
      `polled 10.0.2.100 ${bridgeAddress}`,
      'refused ECONNREFUSED',
      'loopback 127.0.0.1 inner',
      'again EPERM',
      'again EPERM',
      'again EPERM',
      'done',
    ]);
  });
});

import assert from 'node:assert/strict';
import { waitFor } from '../../../support/index.js';
import { ask, isBypassed, LISTEN, python, withBypass } from './common.js';

describe('port driver bypass', () => {
  const { stack, server } = withBypass();

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
    const printed = client.output().split('\n').slice(1, -2);
    assert.deepEqual(printed, [
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

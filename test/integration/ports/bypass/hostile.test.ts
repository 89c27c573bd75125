import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { connect, createServer } from 'node:net';
import { isAlive, run, startStack, waitFor } from '../support/index.js';
import { type StackBelow, startBelow } from './port-suite/below.js';

// What a program does with sockets of the host that it was given, to reach what it should not: a server on the loopback of
// the host, which is what the tests of this file are.

/**
 * A program that listens on a published port and takes one connection; then it has two sockets of the host, `s` and `c`.
 * Says what each attempt came to.
 */
const PRELUDE = `
import ctypes, errno, os, socket, struct, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
port, secret, outside = [int(word) for word in sys.argv[1:4]]
LOOPBACK = ('127.0.0.1', secret)
def raw(family, port=0, ip='127.0.0.1'):
    return struct.pack('=H', family) + struct.pack('!H', port) + socket.inet_aton(ip) + bytes(8)
def call(result):
    return 'ok' if result >= 0 else errno.errorcode[ctypes.get_errno()]
def attempt(f):
    try: f(); return 'ok'
    except OSError as e: return errno.errorcode[e.errno]
def dissolve(s):
    return call(libc.connect(s.fileno(), raw(socket.AF_UNSPEC), 16))
def say(*words): print(*words, flush=True)
s = socket.socket()
s.bind(('127.0.0.1', port))
s.listen()
say('ready')
c, _ = s.accept()
`;

const REACH = `
say('connect', attempt(lambda: c.connect(LOOPBACK)))
say('dissolve', dissolve(c))
say('connect again', attempt(lambda: c.connect(LOOPBACK)))
say('connect elsewhere', attempt(lambda: c.connect(('192.0.2.1', 80))))
say('listen', attempt(lambda: c.listen()))
c.bind(('127.0.0.1', 0))
say('listen where bound', attempt(lambda: c.listen()))
c.setsockopt(socket.IPPROTO_TCP, 30, 1) # TCP_FASTOPEN_CONNECT
say('connect lazily', attempt(lambda: c.connect(LOOPBACK)))
s.shutdown(socket.SHUT_RD)
say('connect the listener', attempt(lambda: s.connect(LOOPBACK)))
say('dissolve the listener', dissolve(s))
say('connect the listener again', attempt(lambda: s.connect(LOOPBACK)))
say('send first', attempt(lambda: s.sendto(b'x', socket.MSG_FASTOPEN, LOOPBACK)))
say('send a message first', attempt(lambda: s.sendmsg([b'x'], [], socket.MSG_FASTOPEN, LOOPBACK)))
say('send many first', call(libc.sendmmsg(s.fileno(), bytes(64), 1, socket.MSG_FASTOPEN)))
say('another protocol', attempt(lambda: s.setsockopt(socket.IPPROTO_TCP, 31, b'smc')))
say('io_uring', call(libc.syscall(425, 8, bytes(120))))
say('done')
`;

/** A server on the loopback of the host; how many have reached it. */
async function startSecret(): Promise<AsyncDisposable & { port: number; reached: () => number }> {
  let reached = 0;
  const server = createServer((socket) => {
    reached++;
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: address !== null && typeof address === 'object' ? address.port : 0,
    reached: () => reached,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** Which calls of Landlock the kernel knows; 4 and more are about TCP. */
function landlockVersion(): number {
  const script = 'import ctypes; print(ctypes.CDLL(None).syscall(444, None, 0, 1))';
  return Number(spawnSync('python3', ['-c', script], { encoding: 'utf8' }).stdout);
}

describe('port driver bypass, against programs that are out to use it', () => {
  let stack: StackBelow;
  let inside = 9000;
  before(async () => {
    stack = await startBelow({ args: ['--net=none', '--port-driver=bypass'] });
  });
  after(() => stack?.[Symbol.asyncDispose]());

  /** Runs a program of PRELUDE and `script` below the command of a stack; resolves with what it said. */
  async function attack(on: StackBelow, script: string): Promise<{ said: string[]; reached: number }> {
    await using secret = await startSecret();
    const port = ++inside;
    const { host, port: outer, id } = await on.publish(`127.0.0.2:0:${port}`);
    const words = [port, secret.port, on.childPid].map(String);
    await using program = await on.run(['python3', '-c', PRELUDE + script, ...words], /^ready$/m);
    assert.equal((await on.report(id)).bypass, true);
    // It may be reset at any time.
    const socket = connect(outer, host).on('error', () => {});
    await waitFor(() => /^(done|Traceback)/m.test(program.output()), { what: `the end of it; ${program.output()}` });
    socket.destroy();
    // Whatever was on its way is there.
    await run('python3', ['-c', `import socket; socket.create_connection(('127.0.0.1', ${secret.port}))`]);
    await waitFor(() => secret.reached() > 0, { what: 'our own connection' });
    return { said: program.output().split('\n').slice(2, -2), reached: secret.reached() - 1 };
  }

  it('keeps the sockets of the host from the loopback of the host', async () => {
    const { said, reached } = await attack(stack, REACH);
    assert.deepEqual(said, [
      'connect EPERM',
      'dissolve ok',
      'connect again EPERM',
      'connect elsewhere EPERM',
      'listen EPERM',
      'listen where bound EPERM',
      'connect lazily EPERM',
      'connect the listener EPERM',
      'dissolve the listener ok',
      'connect the listener again EPERM',
      'send first ENOTSUP',
      'send a message first ENOTSUP',
      'send many first ENOTSUP',
      'another protocol ENOENT',
      'io_uring EPERM',
    ]);
    assert.equal(reached, 0);
  });

  it('does not with --allow-host-loopback', async () => {
    await using open = await startBelow({ args: ['--net=none', '--port-driver=bypass', '--allow-host-loopback'] });
    const { said, reached } = await attack(open, REACH);
    assert.deepEqual(said.slice(0, 3), ['connect EISCONN', 'dissolve ok', 'connect again ok']);
    assert.ok(reached > 0);
  });

  it('knows the calls of its own ABI alone', async () => {
    if (process.arch !== 'x64') return;
    // getpid of i386, and connect of x32; a kernel without them ends the program, or does not know the call, either.
    const script = `
import mmap, signal
def of(number): return '38' if number == -38 else str(number)
if os.fork() == 0:
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes([0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xc3]))
    pid = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
    os._exit(pid == -errno.ENOSYS)
_, status = os.wait()
say('i386', 'refused' if status in (0x100, signal.SIGSEGV) else status)
say('x32', call(libc.syscall(0x40000000 | 42, c.fileno(), raw(socket.AF_INET, secret), 16)))
say('done')`;
    const { said } = await attack(stack, script);
    assert.deepEqual(said, ['i386 refused', 'x32 ENOSYS']);
  });

  if (landlockVersion() >= 4) {
    it('does not fall for descriptors that are swapped while it looks', async () => {
      // While a connect of a UNIX socket, which is let go on, is looked at, the socket of the host takes its place.
      const script = `
dissolve(c)
unix = socket.socket(socket.AF_UNIX)
place = os.dup(unix.fileno())
over = False
def swap():
    while not over:
        os.dup2(c.fileno(), place)
        os.dup2(unix.fileno(), place)
threading.Thread(target=swap).start()
seen = set()
address = raw(socket.AF_INET, secret)
for _ in range(3000): seen.add(call(libc.connect(place, address, 16)))
over = True
say('seen', *sorted(seen))
say('done')`;
      const { said, reached } = await attack(stack, script);
      assert.equal(reached, 0);
      // EACCES is Landlock's, where it was the host's socket, and too late for us.
      assert.match(said[0] ?? '', /^seen( EACCES)? EINVAL( EPERM)?$/);
    });

    it('lets nothing below the command trace what is outside of the filter', async () => {
      const script = `
say('attach', call(libc.ptrace(16, outside, None, None)))
pidfd = libc.syscall(434, outside, 0)
say('take', call(libc.syscall(438, pidfd, 0, 0)))
say('write', attempt(lambda: open(f'/proc/{outside}/mem', 'wb')))
say('done')`;
      const { said } = await attack(stack, script);
      assert.deepEqual(said, ['attach EPERM', 'take EPERM', 'write EACCES']);
    });
  }

  it('ends everything when rootless-run is killed', async () => {
    const script = `${PRELUDE}`;
    await using other = await startStack({
      args: ['--net=none', '--port-driver=bypass'],
      publish: ['127.0.0.2:0:9100'],
      command: ['python3', '-c', script, '9100', '1', '1'],
    });
    await waitFor(async () => (await other.report(1)).bypass, { what: 'the port to be bypassed' });
    const [published] = await other.published();
    const server = other.below('9100 1 1').at(-1);
    assert(published && server);
    process.kill(other.started.pid, 'SIGKILL');
    await waitFor(async () => (await run('ss', ['-Hltn', `sport = :${published.port}`])).stdout === '', {
      what: 'the port to be free',
    });
    await waitFor(() => !isAlive(server.pid), { what: 'the server to be gone' });
  });
});

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { connect, createServer } from 'node:net';
import { isAlive, processorTime, run, startStack, waitFor } from '../../../support/index.js';
import { pythonProgram } from '../../../support/paths.js';
import { type StackBelow, startBelow } from '../suite/below.js';

// What a program does with sockets of the host that it was given, to reach what it should not: a server on the loopback of
// the host, which is what the tests of this file are.

/**
 * A program that listens on a published port and takes one connection; then it has two sockets of the host, `s` and `c`.
 * Prints the result of each attempt.
 */
const PRELUDE = pythonProgram('processes/seccomp-client');

const REACH = pythonProgram('processes/reach-host');

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

describe('port driver bypass against hostile programs', () => {
  let stack: StackBelow;
  let inside = 9000;
  before(async () => {
    stack = await startBelow({ args: ['--net=none', '--port-driver=bypass'] });
  });
  after(() => stack?.[Symbol.asyncDispose]());

  /** Runs a program of PRELUDE and `script` below the command of a stack; resolves with its output. */
  async function attack(on: StackBelow, script: string): Promise<{ printed: string[]; reached: number }> {
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
    return { printed: program.output().split('\n').slice(2, -2), reached: secret.reached() - 1 };
  }

  it('keeps the sockets of the host from the loopback of the host', async () => {
    const { printed, reached } = await attack(stack, REACH);
    assert.deepEqual(printed, [
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
    const { printed, reached } = await attack(open, REACH);
    assert.deepEqual(printed.slice(0, 3), ['connect EISCONN', 'dissolve ok', 'connect again ok']);
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
report('i386', 'refused' if status in (0x100, signal.SIGSEGV) else status)
report('x32', call(libc.syscall(0x40000000 | 42, c.fileno(), raw(socket.AF_INET, secret), 16)))
report('done')`;
    const { printed } = await attack(stack, script);
    assert.deepEqual(printed, ['i386 refused', 'x32 ENOSYS']);
  });

  if (landlockVersion() >= 4) {
    it('does not fall for descriptors that are swapped while it looks', async () => {
      // While a connect of a UNIX socket, which is to continue, is checked, the socket of the host takes its place.
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
report('seen', *sorted(seen))
report('done')`;
      const { printed, reached } = await attack(stack, script);
      assert.equal(reached, 0);
      // EACCES is Landlock's, where it was the host's socket, and too late for us.
      assert.match(printed[0] ?? '', /^seen( EACCES)? EINVAL( EPERM)?$/);
    });

    it('lets nothing below the command trace what is outside of the filter', async () => {
      const script = `
report('attach', call(libc.ptrace(16, outside, None, None)))
pidfd = libc.syscall(434, outside, 0)
report('take', call(libc.syscall(438, pidfd, 0, 0)))
report('write', attempt(lambda: open(f'/proc/{outside}/mem', 'wb')))
report('done')`;
      const { printed } = await attack(stack, script);
      assert.deepEqual(printed, ['attach EPERM', 'take EPERM', 'write EACCES']);
    });
  }

  describe('a second descriptor of a published listener does not keep rootless-run busy', () => {
    const cases: Record<string, string> = {
      'shut down': 'd.shutdown(socket.SHUT_RD)',
      'shut down, connected and with SO_LINGER': `
d.shutdown(socket.SHUT_RD)
t = socket.socket(); t.bind(('127.0.0.1', 0)); t.listen()
d.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 600))
report(attempt(lambda: d.connect(t.getsockname())))`,
      'in blocking mode, where another one takes its clients': `
def change():
    while True: d.setblocking(False); d.setblocking(True)
def take():
    while True: attempt(lambda: d.accept()[0].close())
for f in change, take: threading.Thread(target=f, daemon=True).start()
for _ in range(1000): attempt(lambda: socket.create_connection(('127.0.0.1', port)).close())`,
    };
    for (const [what, script] of Object.entries(cases)) {
      it(what, async () => {
        const port = ++inside;
        const { id } = await stack.publish(`127.0.0.2:0:${port}`);
        const words = [port, 1, 1].map(String);
        const program = `${PRELUDE.replace('s.listen()', 'd = s.dup(); s.listen()').replace('c, _ = s.accept()', '')}
${script}
report('done')
time.sleep(600)`;
        await using running = await stack.run(['python3', '-c', `import time${program}`, ...words], /^done$/m);
        assert.equal((await stack.report(id)).bypass, true, running.output());
        // Another port serves meanwhile, and the processor is left alone.
        const { pid } = stack.started;
        const isAtRest = async () => {
          const before = processorTime(pid);
          await new Promise((resolve) => setTimeout(resolve, 300));
          return processorTime(pid) - before < 100;
        };
        await waitFor(isAtRest, { what: 'rootless-run to be at rest', timeout: 15_000 });
        assert.equal((await stack.ctl('list-ports')).code, 0);
      });
    }
  });

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

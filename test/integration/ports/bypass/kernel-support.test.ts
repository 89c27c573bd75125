import assert from 'node:assert/strict';
import { programPath, startStack, tcpRequest, waitFor } from '../../../support/index.js';
import { startBelow } from '../suite/below.js';
import { args, ask } from './common.js';

/** Runs a program under a filter of system calls (seccomp(2)), which is what Python makes of \`code\`. */
const filtered = (code: string) => `
import ctypes, os, struct, sys
libc = ctypes.CDLL(None)
number = {'x86_64': 317, 'aarch64': 277}[os.uname().machine]
code = ${code}
program = ctypes.create_string_buffer(b''.join(struct.pack('=HBBI', *line) for line in code))
assert libc.syscall(number, 1, 0, struct.pack('@HxxxxxxQ', len(code), ctypes.addressof(program))) == 0
os.execvp(sys.argv[1], sys.argv[1:])`;

describe('port driver bypass without support in the kernel: no such filters', () => {
  it('logs a line, and relays', async () => {
    // seccomp(2) with SECCOMP_FILTER_FLAG_NEW_LISTENER is refused, as by a kernel that does not know the flag.
    const filter = filtered(
      '[(0x20, 0, 0, 0), (0x15, 0, 3, number), (0x20, 0, 0, 24), (0x45, 0, 1, 8), (6, 0, 0, 0x50016), (6, 0, 0, 0x7fff0000)]',
    );
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
    const { bypass, bypassReason } = await stack.report(1);
    assert.equal(bypass, false);
    assert.match(bypassReason ?? '', /^the command cannot be filtered: seccomp/);
    assert.match(
      stack.started.output(),
      /^rootless-run: warning: ports are relayed, not bypassed: the command cannot be filtered: seccomp\(SECCOMP_FILTER_FLAG_NEW_LISTENER\): Invalid argument$/m,
    );
  });
});

describe('port driver bypass without support in the kernel: no Landlock for TCP', () => {
  it("reports in a line and in the info that the host's loopback is not guarded", async () => {
    // landlock_create_ruleset(2) fails with ENOSYS.
    const filter = filtered('[(0x20, 0, 0, 0), (0x15, 0, 1, 444), (6, 0, 0, 0x50026), (6, 0, 0, 0x7fff0000)]');
    await using stack = await startStack({
      args,
      wrapper: ['unshare', '--user', '--map-root-user', 'python3', '-c', filter],
    });
    await waitFor(() => /the kernel has no Landlock for TCP: .+; hint: /.test(stack.started.output()), {
      what: 'the line',
    });
    assert.equal((await stack.api.info()).portDriver?.hostLoopbackUnguarded, true);
    assert.match((await stack.ctl('info')).stdout, /Host loopback: not guarded/);
  });
});

describe('port driver bypass, and MPTCP', () => {
  it('serves clients with a socket of the host, as servers written in Go have one of MPTCP', async () => {
    await using stack = await startBelow({ args });
    const { host, port, id } = await stack.publish('127.0.0.2:0:8101');
    assert.match((await stack.report(id)).bypassReason ?? '', /^no program below the command has started to listen/);
    assert.match((await stack.ctl('list-ports')).stdout, /no: no program below the command/);
    const script = `
import socket, sys
server = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, 262)
server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
server.bind(('::', 8101))
server.listen()
print('ready', flush=True)
while True:
    c, address = server.accept()
    data = b''.join(iter(lambda: c.recv(65536), b''))
    c.sendall(data)
    c.close()`;
    await using _server = await stack.run(['python3', '-c', script], /^ready$/m);
    assert.equal((await stack.report(id)).bypass, true);
    assert.equal((await tcpRequest(host, port, 'of the host')).toString(), 'of the host');
    // Programs inside, of MPTCP and of TCP, still reach it.
    for (const protocol of [262, 0]) {
      const client = `
import socket
c = socket.socket(socket.AF_INET, socket.SOCK_STREAM, ${protocol})
c.connect(('127.0.0.1', 8101))
c.sendall(b'x' * 1000000)
c.shutdown(socket.SHUT_WR)
print(sum(len(part) for part in iter(lambda: c.recv(65536), b'')))`;
      const { stdout, stderr } = await stack.enter('python3', '-c', client);
      assert.equal(stdout.trim(), '1000000', stderr);
    }
  });
});

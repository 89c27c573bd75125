import assert from 'node:assert/strict';
import { type RunningStack, run, startStack, tempDir } from '../../../support/index.js';
import { without } from '../../../support/kernel.js';
import { pythonProgram } from '../../../support/paths.js';
import { onInternet, SERVERS, SITES } from '../../../support/stacks/internet.js';

const CLOSED = 4;

/** Attempts whose outcomes have to be the same on the host and inside. */
function attempts(): string[] {
  return Object.values(SITES).flatMap(({ server, open: _, ...failing }) =>
    (['tcp', 'udp'] as const).flatMap((kind) => [
      [kind, server, String(SERVERS.echo)].join(' '),
      [kind, server, String(CLOSED)].join(' '),
      ...Object.values(failing).map((address) => [kind, address, '81'].join(' ')),
    ]),
  );
}

for (const lacking of [[], ['tproxy']] as const) {
  describe(`connections out of a namespace with the network driver builtin${lacking.length === 0 ? '' : ', without TPROXY'}`, () => {
    let stack: RunningStack;
    before(async () => {
      const wrapper = [...onInternet(tempDir()), ...without(lacking, { nested: true })];
      stack = await startStack({ args: ['--net=builtin', '--ipv6'], wrapper });
    });
    after(() => stack?.[Symbol.asyncDispose]());

    /** Runs a program on the host: beside rootless-run, not inside. */
    const onHost = (...command: string[]) =>
      run('nsenter', ['--user', '--net', '--preserve-credentials', `--target=${stack.started.pid}`, '--', ...command]);
    const python = (script: string, ...words: string[]) => stack.enter('python3', '-c', script, ...words);
    const printed = async (script: string, ...words: string[]) => {
      const { code, stdout, stderr } = await python(script, ...words);
      assert.deepEqual([code, stderr], [0, ''], stdout);
      return stdout.trim();
    };

    it('succeed and fail as they do on the host', async () => {
      const words = attempts().flatMap((text) => text.split(' '));
      const outcomes = (text: string) => Object.fromEntries(attempts().map((name, i) => [name, JSON.parse(text)[i]]));
      const host = await onHost('python3', '-c', pythonProgram('outbound/reach'), ...words);
      const inside = await python(pythonProgram('outbound/reach'), ...words);
      const expected = outcomes(host.stdout);
      // No ICMPv6 message leads to that error on a datagram socket (icmpv6_err_convert in Linux).
      expected[`udp ${SITES[6].unrouted} 81`] = 'time-out';
      assert.deepEqual(outcomes(inside.stdout), expected);
      // They are what they should be, on the host.
      const { server, dropping, unreachable, unrouted } = SITES[4];
      const found = outcomes(host.stdout);
      assert.equal(found[`tcp ${server} ${SERVERS.echo}`], 'ok');
      assert.equal(found[`tcp ${server} ${CLOSED}`], 'ECONNREFUSED');
      assert.equal(found[`tcp ${dropping} 81`], 'time-out');
      assert.equal(found[`tcp ${unreachable} 81`], 'EHOSTUNREACH');
      assert.equal(found[`tcp ${unrouted} 81`], 'ENETUNREACH');
      assert.equal(found[`tcp ${SITES[6].prohibited} 81`], 'EACCES');
    });

    for (const family of [4, 6] as const) {
      const { server } = SITES[family];

      it(`carry streams in both directions: IPv${family}`, async () => {
        const script = `
import hashlib, os, socket, sys
host = sys.argv[1]
c = socket.create_connection((host, 8)); assert c.getpeername()[0] == host
data = os.urandom(1 << 20) * 64
c.sendall(data); c.shutdown(socket.SHUT_WR)
print(c.makefile().read() == '%s %d' % (hashlib.sha256(data).hexdigest(), len(data)))
c = socket.create_connection((host, 19)); d = hashlib.sha256(); n = 0
while True:
    b = c.recv(1 << 18)
    if not b: break
    d.update(b); n += len(b)
block = hashlib.sha256(b'source').digest() * 2048
print(n, d.hexdigest() == hashlib.sha256(block * (n // len(block))).hexdigest())`;
        assert.equal(await printed(script, server), `True\n${64 << 20} True`);
      });

      it(`pass resets and ends on: IPv${family}`, async () => {
        const script = `
import socket, struct, sys
host = sys.argv[1]
c = socket.create_connection((host, 9)); c.send(b'x')
try: print(c.recv(1))
except OSError as e: print(e.strerror)
c = socket.create_connection((host, 10))
print(c.makefile().read())
c.sendall(b'x' * 1000); c.close()
c = socket.create_connection((host, 7)); c.sendall(b'hello'); print(c.recv(5).decode())
c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)); c.close()`;
        assert.equal(await printed(script, server), 'Connection reset by peer\nall there is\nhello');
      });

      it(`come by the thousand, and from the same port again: IPv${family}`, async () => {
        const script = `
import socket, sys
from concurrent.futures import ThreadPoolExecutor
server = sys.argv[1]
def one(i):
    with socket.create_connection((server, 7), 20) as c:
        c.sendall(b'%d' % i); c.shutdown(socket.SHUT_WR)
        return c.makefile().read() == str(i)
with ThreadPoolExecutor(100) as pool: print(sum(pool.map(one, range(1500))))
for i in range(5):
    s = socket.socket(socket.AF_INET6 if ':' in server else socket.AF_INET)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('', 2020)); s.settimeout(10)
    s.connect((server, 7)); s.sendall(b'again'); assert s.recv(5) == b'again'
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, __import__('struct').pack('ii', 1, 0)); s.close()
print('again')`;
        assert.equal(await printed(script, server), '1500\nagain');
      });
    }

    it('lead from one port to several ports of one address', async () => {
      const script = `
import socket, sys
held = []
for i in range(10):
    pair = []
    for port in (7, 8):
        s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('', 2300 + i)); s.settimeout(10)
        s.connect((sys.argv[1], port)); pair.append(s)
    held.append(pair)
for echo, digest in held:
    echo.sendall(b'one port'); assert echo.recv(8) == b'one port'
    digest.sendall(b'x'); digest.shutdown(socket.SHUT_WR); assert digest.makefile().read().endswith(' 1')
print('all')`;
      assert.equal(await printed(script, SITES[4].server), 'all');
    });

    it('come from the host', async () => {
      const script = 'import socket, sys; print(socket.create_connection((sys.argv[1], 11)).makefile().read())';
      assert.equal(await printed(script, SITES[4].server), '198.51.100.2');
    });

    if (lacking.length > 0) return;
    for (const family of [4, 6] as const) {
      const { server, dropping } = SITES[family];

      it(`do not wait for those that hang: IPv${family}`, async () => {
        const script = `
import errno, socket, sys
server, dropping = sys.argv[1:]
held = []
for i in range(1500):
    s = socket.socket(socket.AF_INET6 if ':' in server else socket.AF_INET); s.setblocking(False)
    assert s.connect_ex((dropping, 80)) == errno.EINPROGRESS
    held.append(s)
c = socket.create_connection((server, 7), 5); c.sendall(b'hello'); print(c.recv(5).decode())`;
        assert.equal(await printed(script, server, dropping), 'hello');
      });
    }

    it('are made soon after a flood of forged ones', async () => {
      const script = `
import socket, struct, sys
server = sys.argv[1]
p = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); p.bind(('eth0', 0))
for i in range(20000):
    # Which nothing outside delays.
    tcp = struct.pack('>HHIIBBHHH', 1024 + i, 53, 1, 0, 5 << 4, 2, 65535, 0, 0)
    ip = struct.pack('>BBHHHBB', 0x45, 0, 40, 0, 0, 64, 6) + bytes(2) + bytes([10, 50, i % 8, 7, 10, 0, 2, 3])
    sum1 = sum(struct.unpack('>10H', ip)); sum1 = (sum1 >> 16) + (sum1 & 0xffff)
    p.send(bytes.fromhex('52550a00020252550a0002640800') + ip[:10] + struct.pack('>H', ~sum1 & 0xffff) + ip[12:] + tcp)
c = socket.create_connection((server, 7), 6); c.sendall(b'hello'); print(c.recv(5).decode())`;
      assert.equal(await printed(script, SITES[4].server), 'hello');
    });

    it('survive packets that the kernel would never send', async () => {
      const script = `
import errno, socket, struct, sys, time
server, dropping = sys.argv[1:]
mac = bytes.fromhex('52550a000202') + bytes.fromhex('52550a000264')
p = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); p.bind(('eth0', 0))
def mapped(ip): return bytes(10) + b'\\xff\\xff' + socket.inet_aton(ip)
def twin(ip, port):
    tcp = struct.pack('>HHIIBBHHH', port, 80, 1, 0, 5 << 4, 2, 65535, 0, 0)
    ip6 = struct.pack('>IHBB', 6 << 28, len(tcp), 6, 64) + mapped('10.0.2.100') + mapped(ip)
    p.send(mac + b'\\x86\\xdd' + ip6 + tcp)
# Over IPv6, but with the addresses of attempts that are held over IPv4.
held = []
for i in range(20):
    s = socket.socket(); s.setblocking(False); s.bind(('', 2100 + i))
    assert s.connect_ex((dropping, 80)) == errno.EINPROGRESS
    twin(dropping, 2100 + i); held.append(s)
for s in held: s.close()
# A SYN that is as large as the device allows, and garbage.
ip = struct.pack('>BBHHHBBH4s4s', 0x45, 0, 60000, 0, 0, 64, 6, 0, socket.inet_aton('10.0.2.100'), socket.inet_aton(dropping))
p.send(mac + b'\\x08\\x00' + ip + struct.pack('>HHIIBBHHH', 99, 80, 1, 0, 5 << 4, 2, 65535, 0, 0) + bytes(59960))
for n in range(14, 80): p.send(mac + b'\\x08\\x00' + b'\\x45' * (n - 14))
# Longer than until the attempts are given up.
until = time.monotonic() + 6
while time.monotonic() < until:
    with socket.create_connection((server, 7), 5) as c: c.sendall(b'hello'); assert c.recv(5) == b'hello'
    time.sleep(.05)
print('alive')`;
      assert.equal(await printed(script, SITES[4].server, SITES[4].dropping), 'alive');
    });
  });
}

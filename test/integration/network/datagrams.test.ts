/** What the network driver builtin does with datagrams and echo requests of programs inside. */
import assert from 'node:assert/strict';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { type RunningStack, startStack, waitFor } from '../../support/index.js';
import { without } from '../../support/kernel.js';
import { pythonProgram } from '../../support/paths.js';
import { ownHost } from '../../support/stacks/own-host.js';
import { withStack } from '../../support/stacks/with-stack.js';

/** With and without a header's length around what fits one packet, of 1280 bytes, 1500, the device, and IP. */
const SIZES = [0, 1, 1232, 1233, 1400, 1452, 1453, 1472, 1473, 5000, 65_000, 65_472, 65_473, 65_492, 65_493, 65_507];

/** A server of the host that sends each datagram back. */
class Echo implements AsyncDisposable {
  readonly clients: RemoteInfo[] = [];
  private constructor(private readonly socket: Socket) {}

  static async listen(address = '127.0.0.1'): Promise<Echo> {
    const socket = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4', recvBufferSize: 1 << 20 });
    const echo = new Echo(socket);
    socket.on('message', (data, from) => {
      echo.clients.push(from);
      socket.send(data, from.port, from.address);
    });
    socket.bind(0, address);
    await once(socket, 'listening');
    return echo;
  }

  get port(): number {
    return this.socket.address().port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.socket.close(() => resolve()));
  }
}

async function python<T>(stack: RunningStack, ...words: (string | number)[]): Promise<T> {
  const program = pythonProgram('outbound/datagrams');
  const { code, stdout, stderr } = await stack.enter('python3', '-c', program, ...words.map(String));
  assert.deepEqual([code, stderr], [0, '']);
  return JSON.parse(stdout) as T;
}

async function must(stack: RunningStack, script: string): Promise<string> {
  const { code, stdout, stderr } = await stack.enter('sh', '-euc', script);
  assert.deepEqual([code, stderr], [0, ''], script);
  return stdout;
}

/** Sends from that port inside, without waiting. */
const sendFrom = (stack: RunningStack, port: number, to: string) =>
  must(stack, `echo datagram | socat -u - UDP4-SENDTO:${to},sourceport=${port},reuseaddr`);

describe('datagrams with the network driver builtin', () => {
  const stack = withStack(() => startStack({ args: ['--net=builtin', '--ipv6', '--allow-host-loopback'] }));

  for (const [family, host, gateway] of [
    ['IPv4', '127.0.0.1', '10.0.2.2'],
    ['IPv6', '::1', 'fd00::2'],
  ] as const) {
    it(`of any size go to the host and return, over ${family}`, async () => {
      await using echo = await Echo.listen(host);
      assert.deepEqual(await python(stack, 'sizes', gateway, echo.port, ...SIZES), []);
    });
  }

  it('are answered as the network is: refused, unreachable, not at all', async () => {
    const errors = await python<string[]>(
      stack,
      'errors',
      ...['10.0.2.2', 1, 'fd00::2', 1, '10.0.2.3', 5, 'fd00::3', 5, '10.0.2.77', 9, '0.1.2.3', 9],
    );
    const refused = ['ECONNREFUSED', 'ECONNREFUSED', 'ECONNREFUSED', 'ECONNREFUSED'];
    assert.deepEqual(errors, [...refused, 'EHOSTUNREACH', 'EHOSTUNREACH']);
  });

  it('to closed ports are answered by the host that has them, as traceroute and mtr expect it', async () => {
    const closed = ['10.0.2.2', '10.0.2.3', 'fd00::2', 'fd00::3'];
    assert.deepEqual(await python(stack, 'reporters', ...closed.flatMap((ip) => [ip, 5])), closed);
  });

  it('of one address inside leave from one port, whoever they go to', async () => {
    await using first = await Echo.listen();
    await using second = await Echo.listen();
    for (const { port } of [first, second]) await sendFrom(stack, 5511, `10.0.2.2:${port}`);
    await sendFrom(stack, 5512, `10.0.2.2:${first.port}`);
    await waitFor(() => first.clients.length === 2 && second.clients.length === 1);
    assert.equal(second.clients[0]?.port, first.clients[0]?.port);
    assert.notEqual(first.clients[1]?.port, first.clients[0]?.port);
  });

  it('of a published port leave from where it is published, until it is not', async () => {
    await using peer = await Echo.listen();
    const { id, port } = await stack.publish('0:5521/udp');
    await sendFrom(stack, 5521, `10.0.2.2:${peer.port}`);
    await waitFor(() => peer.clients.length === 1);
    assert.equal(peer.clients[0]?.port, port);
    // The flow that began there is over as well: the address is free.
    await stack.api.removePort(id);
    const again = createSocket('udp4').bind(port, '0.0.0.0');
    await once(again, 'listening');
    await sendFrom(stack, 5521, `10.0.2.2:${peer.port}`);
    await waitFor(() => peer.clients.length === 2);
    assert.notEqual(peer.clients[1]?.port, port);
    again.close();
  });

  it('of any size reach programs behind a bridge whose devices have the usual MTU', async () => {
    await using echo4 = await Echo.listen();
    await using echo6 = await Echo.listen('::1');
    const program = pythonProgram('outbound/datagrams');
    const setUp = `
      ip link add br0 type bridge && ip addr add 172.31.0.1/24 dev br0 && ip addr add fd31::1/64 dev br0 nodad
      ip link add v0 type veth peer name v1 && ip link set v0 master br0 up && ip link set br0 up
      echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
      nft 'table inet nat { chain post { type nat hook postrouting priority 100; oifname eth0 masquerade; }; }'
      unshare --net python3 -c "$2" | { read pid; ip link set v1 netns $pid; nsenter --net=/proc/$pid/ns/net sh -euc '
        ip addr add 172.31.0.2/24 dev v1; ip addr add fd31::2/64 dev v1 nodad; ip link set v1 up
        ip route add default via 172.31.0.1; ip -6 route add default via fd31::1
        python3 -c "$1" sizes 10.0.2.2 ${echo4.port} ${SIZES.join(' ')}
        python3 -c "$1" sizes fd00::2 ${echo6.port} ${SIZES.join(' ')}' sh "$1"; kill $pid; }`;
    const untilKilled = `import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print(os.getpid(), flush=True)
signal.sigwait([signal.SIGTERM])`;
    const { stdout, stderr } = await stack.enter('sh', '-euc', setUp, 'sh', program, untilKilled);
    assert.deepEqual([stdout, stderr], ['[]\n[]\n', '']);
  });
});

describe('datagrams with the network driver builtin, without TPROXY', () => {
  const args = ['--net=builtin', '--ipv6', '--allow-host-loopback'];
  const stack = withStack(() => startStack({ args, wrapper: without(['tproxy']) }));

  it('of any size go to the host and return', async () => {
    await using echo4 = await Echo.listen();
    await using echo6 = await Echo.listen('::1');
    assert.deepEqual(await python(stack, 'sizes', '10.0.2.2', echo4.port, ...SIZES), []);
    assert.deepEqual(await python(stack, 'sizes', 'fd00::2', echo6.port, ...SIZES), []);
  });

  it('are answered as the network is: refused, unreachable', async () => {
    const errors = await python<string[]>(stack, 'errors', '10.0.2.2', 1, 'fd00::2', 1, '10.0.2.77', 9);
    assert.deepEqual(errors, ['ECONNREFUSED', 'ECONNREFUSED', 'EHOSTUNREACH']);
  });

  it('have no checksum, or leave several at a time', async () => {
    await using echo = await Echo.listen();
    const script = `
import socket, sys
SO_NO_CHECK, SOL_UDP, UDP_SEGMENT = 11, 17, 103
to = ('10.0.2.2', int(sys.argv[1]))
c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); c.settimeout(10)
c.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
c.sendto(b'bare', to); print(c.recv(100).decode())
c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); c.settimeout(10)
c.setsockopt(SOL_UDP, UDP_SEGMENT, 1000)
c.sendto(b'x' * 3500, to); print(*sorted(len(c.recv(65536)) for i in range(4)))`;
    const { stdout, stderr } = await stack.enter('python3', '-c', script, String(echo.port));
    assert.deepEqual([stdout, stderr], ['bare\n500 1000 1000 1000\n', '']);
  });
});

describe('ping with the network driver builtin', () => {
  it('gets replies and errors of the network, where the host permits it', async () => {
    const host = ownHost('echo "0 0" > /proc/sys/net/ipv4/ping_group_range; ip route add unreachable 192.0.2.0/24');
    await using stack = await startStack({ args: ['--net=builtin'], wrapper: host.wrapper });
    assert.match(await must(stack, 'ping -c 2 -i 0.1 -W 5 -s 3000 198.51.100.2'), / 2 received, 0% packet loss/);
    assert.match(await must(stack, 'ping -c 1 -W 5 10.0.2.2'), / 1 received/);
    const { stdout } = await stack.enter('ping', '-c', '1', '-W', '5', '192.0.2.1');
    assert.match(stdout, /From 10\.0\.2\.2 icmp_seq=1 Destination Host Unreachable/);
  });

  it('gets none otherwise, and one line reports that', async () => {
    const host = ownHost('echo "1 0" > /proc/sys/net/ipv4/ping_group_range');
    await using stack = await startStack({ args: ['--net=builtin'], wrapper: host.wrapper });
    for (const id of ['1', '2']) {
      assert.match((await stack.enter('ping', '-e', id, '-c', '1', '-W', '0.2', '198.51.100.2')).stdout, / 0 received/);
    }
    const lines = () => stack.started.output().match(/programs inside get no answer to ping/g) ?? [];
    await waitFor(() => lines().length > 0);
    assert.equal(lines().length, 1);
  });
});

import assert from 'node:assert/strict';
import { listensNow, type RunningStack, type Started, startStack, waitFor } from '../../support/index.js';
import { startTunnel, type Tunnel } from '../../support/overlay/tunnel.js';

const LISTEN = ['socat', 'tcp-listen:7001,fork,reuseaddr', 'pipe'];
const HEAR = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 7003)); print('ready', flush=True)
while True: print('from', s.recvfrom(9)[1][0], flush=True)`;
const SEND = `
import socket, sys
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', (sys.argv[1], 7003))`;

/** Network namespaces: `far` stands for the other hosts, at the other end of what stands for the tunnel. */
const MEMBERS = {
  member: { ip: '10.99.1.2', gateway: '10.99.1.1', device: 'rn-own', isBridge: true },
  stranger: { ip: '10.88.0.2', gateway: '10.88.0.1', device: 'rn-other', isBridge: true },
  far: { ip: '10.99.2.2', gateway: '10.99.2.1', device: 'tunnel', isBridge: false },
} as const;
type Member = keyof typeof MEMBERS;

describe('the packet filter of a network with a tunnel', () => {
  let stack: RunningStack;
  let tunnel: Tunnel;
  const programs: Started[] = [];
  const pids: Record<string, number> = {};

  const shell = async (script: string, ...words: string[]) => {
    const { code, stderr } = await stack.enter('sh', '-euc', script, 'sh', ...words);
    assert.equal(code, 0, stderr);
  };
  const within = (member: Member) => ['nsenter', `--net=/proc/${pids[member]}/ns/net`];
  const connects = async (from: Member, ip: string) =>
    (await stack.enter(...within(from), 'socat', '-u', 'open:/dev/null', `tcp:${ip}:7001,connect-timeout=0.5`)).code ===
    0;
  const filter = async (own: { internal: boolean; icc: boolean }) => {
    await stack.enter('nft', 'delete', 'table', 'inet', 'rootless_net');
    const { program } = tunnel;
    await program.stop();
    // It knows what it has added.
    tunnel = await startTunnel(stack);
    await tunnel.ask({
      filter: { device: 'rn-own', gateways: [], subnets: ['10.99.1.0/24'], tunnel: 'tunnel', ...own },
    });
    await tunnel.ask({
      filter: { device: 'rn-other', gateways: [], subnets: ['10.88.0.0/24'], internal: false, icc: true },
    });
  };

  before(async () => {
    stack = await startStack({ args: ['--net=none'] });
    tunnel = await startTunnel(stack);
    await shell('echo 1 >/proc/sys/net/ipv4/ip_forward');
    for (const [name, { ip, gateway, device, isBridge }] of Object.entries(MEMBERS)) {
      const namespace = await stack.inside(['unshare', '--net', 'sh', '-c', 'echo ready; exec sleep infinity'], {
        output: /ready/,
      });
      programs.push(namespace);
      pids[name] = namespace.pid;
      await shell(
        `near=$5; [ "$4" = false ] || { ip link add $5 type bridge; ip link set $5 up; near=$5-0; }
         ip link add $near type veth peer name eth0 netns $1
         [ "$4" = false ] || ip link set $near master $5
         ip link set $near up
         ip addr add $3/24 dev $5
         nsenter --net=/proc/$1/ns/net sh -euc '
           ip link set lo up; ip link set eth0 up; ip addr add $1/24 dev eth0; ip route add default via $2' sh $2 $3`,
        ...[String(namespace.pid), ip, gateway, String(isBridge), device],
      );
      const server = await stack.inside([...within(name as Member), ...LISTEN], {
        check: () => listensNow(namespace.pid, 7001),
      });
      programs.push(server);
    }
    const own = await stack.inside(LISTEN, { check: () => listensNow(stack.childPid, 7001) });
    programs.push(own);
  });
  after(async () => {
    for (const program of [...programs.reverse(), ...(tunnel ? [tunnel.program] : [])]) await program.stop();
    await stack?.[Symbol.asyncDispose]();
  });

  for (const internal of [false, true]) {
    it(`lets members on all hosts reach each other, and nothing else (internal: ${internal})`, async () => {
      await filter({ internal, icc: true });
      const reached = async (from: Member) =>
        Object.fromEntries(
          await Promise.all(
            ['10.99.1.2', '10.99.2.2', '10.88.0.2', '10.99.2.1'].map(async (ip) => [ip, await connects(from, ip)]),
          ),
        );
      assert.deepEqual(await reached('far'), {
        '10.99.1.2': true,
        '10.99.2.2': true,
        '10.88.0.2': false,
        // The stack's own server.
        '10.99.2.1': false,
      });
      assert.deepEqual(await reached('member'), {
        '10.99.1.2': true,
        '10.99.2.2': true,
        '10.88.0.2': false,
        '10.99.2.1': !internal,
      });
      assert.deepEqual(
        [await connects('stranger', '10.99.2.2'), await connects('stranger', '10.99.1.2')],
        [false, false],
      );
    });
  }

  it('lets nobody reach anybody where containers may not reach each other', async () => {
    await filter({ internal: false, icc: false });
    assert(!(await connects('far', '10.99.1.2')));
    assert(!(await connects('member', '10.99.2.2')));
  });

  it('shows members the addresses of members', async () => {
    await filter({ internal: false, icc: true });
    await using heard = await stack.inside([...within('far'), 'python3', '-c', HEAR], { output: /ready/ });
    await stack.enter(...within('member'), 'python3', '-c', SEND, '10.99.2.2');
    await waitFor(() => /from 10\.99\.1\.2$/m.test(heard.output()), { what: 'the datagram' });
  });
});

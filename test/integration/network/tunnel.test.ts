import assert from 'node:assert/strict';
import type { Peer } from '../../../child/wireguard/device.js';
import { generateKeys, generatePresharedKey } from '../../../protocol/wireguard/keys.js';
import { listensNow, processTree, type RunningStack, run, startStack, waitFor } from '../../support/index.js';
import { startHosts, type TestHosts } from '../../support/overlay/hosts.js';
import { startTunnel, TUNNEL_PORT, type Tunnel } from '../../support/overlay/tunnel.js';

/** The stacks, each with its host and where it is published. */
const STACKS = [
  { host: 0, driver: 'builtin', port: 51821 },
  { host: 1, driver: 'slirp4netns', port: 51821 },
  // It cannot be reached by the others.
  { host: 2, driver: 'builtin', port: undefined },
  // A second one on the first host.
  { host: 0, driver: 'builtin', port: 51822 },
] as const;
const MTU = 1420;
const presharedKey = generatePresharedKey();

/** What a host has in the network: 10.99.1.0/24 for the first one. */
const subnet = (index: number) => `10.99.${index + 1}.0/24`;
const address = (index: number) => `10.99.${index + 1}.1`;

const RECEIVE = `
import hashlib, socket, sys
s = socket.create_server((sys.argv[1], 7000)); print('ready', flush=True)
c, _ = s.accept(); d = hashlib.sha256(); n = 0
while True:
    b = c.recv(1 << 18)
    if not b: break
    d.update(b); n += len(b)
c.sendall(b'%d %s' % (n, d.hexdigest().encode()))`;
const SEND = `
import hashlib, os, socket, sys
data = os.urandom(1 << 20) * 4
c = socket.create_connection((sys.argv[1], 7000)); c.sendall(data); c.shutdown(socket.SHUT_WR)
print(c.makefile().read() == '%d %s' % (len(data), hashlib.sha256(data).hexdigest()))`;
/** Asks ten times a second, and prints how many answers there were. */
const CONVERSE = `
import socket, sys, time
c = socket.create_connection((sys.argv[1], 7002)); n = 0
while True:
    c.sendall(b'x'); assert c.recv(1) == b'x'; n += 1; print(n); time.sleep(0.1)`;

describe('a WireGuard device in a stack', () => {
  let network: TestHosts;
  let stacks: RunningStack[] = [];
  let tunnels: Tunnel[] = [];

  const tunnel = (index: number) => tunnels[index] ?? assert.fail('no such host');
  const peerOf = (index: number): Peer => ({
    publicKey: tunnel(index).keys.publicKey,
    presharedKey,
    subnets: [subnet(index)],
    ...endpointOf(index),
  });
  const endpointOf = (index: number): Pick<Peer, 'endpoint'> => {
    const { host, port } = STACKS[index] ?? assert.fail('no such stack');
    const ip = network.hosts[host]?.ip ?? '';
    return port === undefined ? {} : { endpoint: { ip, port } };
  };
  const others = (index: number) => [...STACKS.keys()].filter((other) => other !== index).map(peerOf);
  const ping = (from: number, to: string, ...options: string[]) =>
    tunnel(from).stack.enter('ping', '-n', '-c1', '-W1', ...options, to);
  /** A first packet may be lost, and WireGuard tries again after 5 s. */
  const reaches = (from: number, to: string, ...options: string[]) =>
    waitFor(async () => (await ping(from, to, ...options)).code === 0, {
      what: `${from} to reach ${to}`,
      timeout: 20_000,
    });

  before(async () => {
    network = await startHosts(3);
    stacks = await Promise.all(
      STACKS.map(({ host, driver, port }) => {
        const publish = port === undefined ? [] : [`0.0.0.0:${port}:${TUNNEL_PORT}/udp`];
        return startStack({ args: [`--net=${driver}`], publish, wrapper: network.hosts[host]?.wrapper ?? [] });
      }),
    );
    tunnels = await Promise.all(stacks.map(startTunnel));
    await Promise.all(
      tunnels.map(async ({ ask, keys }, index) => {
        const { privateKey } = keys;
        const addresses = [`${address(index)}/32`];
        await ask({ open: { name: 'wg0', privateKey, listenPort: TUNNEL_PORT, mtu: MTU, addresses } });
        await ask({ configure: others(index) });
      }),
    );
  });
  after(async () => {
    for (const { program } of tunnels) await program.stop();
    for (const stack of stacks) await stack[Symbol.asyncDispose]();
    await network?.[Symbol.asyncDispose]();
  });

  it('connects stacks, whatever their network drivers are, also one that only reaches the others', async () => {
    await reaches(0, address(1));
    await reaches(1, address(0));
    await reaches(2, address(0));
    await reaches(2, address(1));
    // They have learnt where it is.
    await reaches(0, address(2));
    await reaches(1, address(2));
    const { peers = [] } = await tunnel(0).ask({ peers: true });
    await reaches(0, address(3));
    await reaches(3, address(1));
    assert.equal(peers.length, 3);
    for (const { lastHandshake, bytesReceived, endpoint, allowedIps } of peers) {
      if (allowedIps.includes(subnet(3))) continue;
      assert(lastHandshake > Date.now() - 60_000 && bytesReceived > 0);
      assert.match(endpoint, /^192\.0\.2\.[23]:\d+$/);
    }
  });

  it('carries the largest packets, and none that are larger', async () => {
    const largest = MTU - 28;
    await reaches(0, address(1), '-Mdo', `-s${largest}`);
    const { code, stdout, stderr } = await ping(0, address(1), '-Mdo', `-s${largest + 1}`);
    assert.equal(code, 1);
    assert.match(`${stdout}${stderr}`, /message too long, mtu=1420|mtu ?= ?1420/i);
    // In fragments.
    await reaches(0, address(1), '-s60000');
  });

  it('carries streams unchanged', async () => {
    for (const [from, to] of [
      [0, 1],
      [1, 0],
    ] as const) {
      const server = ['python3', '-c', RECEIVE, address(to)];
      await using _ = await tunnel(to).stack.inside(server, { output: /ready/ });
      const { stdout, stderr } = await tunnel(from).stack.enter('python3', '-c', SEND, address(to));
      assert.equal(stdout, 'True\n', stderr);
    }
  });

  it('comes back when wireguard-go is killed, and connections go on', async () => {
    const { stack, ask, program } = tunnel(0);
    await using server = await tunnel(1).stack.inside(['socat', `tcp-listen:7002,bind=${address(1)}`, 'pipe'], {
      check: () => listensNow(tunnel(1).stack.childPid, 7002),
    });
    await using client = await stack.inside(['python3', '-uc', CONVERSE, address(1)], { output: /^1$/m });
    const [wireguard] = processTree(program.pid).filter(({ args }) => args.join(' ').startsWith('wireguard-go'));
    assert(wireguard);
    process.kill(wireguard.pid, 'SIGKILL');
    await waitFor(async () => (await ask({ peers: true })).warnings.length > 0, { what: 'the warning' });
    const before = Number(client.output().trim().split('\n').at(-1));
    await waitFor(() => Number(client.output().trim().split('\n').at(-1)) > before + 3, { what: 'more answers' });
    await reaches(0, address(1));
    await reaches(1, address(0));
    // It has not forgotten where that one is.
    await reaches(0, address(2));
    const { warnings, kind } = await ask({ peers: true });
    assert.deepEqual(warnings, ['wireguard-go of wg0 ended (SIGKILL); restarting it']);
    assert.equal(kind, 'wireguard-go');
    await client.stop();
    await server.stop();
  });

  it('works again when the network between the hosts does', async () => {
    const [program = '', ...words] = network.between;
    const onNetwork = async (...command: string[]) => {
      const { code, stderr } = await run(program, [...words, ...command]);
      assert.equal(code, 0, stderr);
    };
    await onNetwork('ip', 'link', 'set', 'host1', 'down');
    await waitFor(async () => (await ping(1, address(0))).code !== 0, { what: 'the end of the network' });
    await onNetwork('ip', 'link', 'set', 'host1', 'up');
    await reaches(1, address(0));
    await reaches(0, address(1));
  });

  it('uses another key without a gap', async () => {
    const next = generateKeys();
    const old = tunnel(0).keys.publicKey;
    for (const index of [1, 2, 3]) {
      const peers = others(index).map((peer) => (peer.publicKey === old ? { ...peer, nextKey: next.publicKey } : peer));
      await tunnel(index).ask({ configure: peers });
    }
    await reaches(0, address(1));
    const pings = tunnel(1).stack.enter('ping', '-n', '-i0.05', '-c60', '-W1', address(0));
    await tunnel(0).ask({ setPrivateKey: next.privateKey });
    for (const index of [1, 2, 3]) {
      const keysOf = async () => ((await tunnel(index).ask({ peers: true })).peers ?? []).map((peer) => peer.publicKey);
      await waitFor(async () => !(await keysOf()).includes(old), { what: `host ${index} to use the new key` });
      await reaches(index, address(0));
      // As it is announced afterwards.
      const peers = others(index).map((peer) =>
        peer.publicKey === old ? { ...peer, publicKey: next.publicKey } : peer,
      );
      await tunnel(index).ask({ configure: peers });
      await reaches(0, address(index));
    }
    assert.match((await pings).stdout, / [1-9]\d* received/);
  });

  it('fails with one line for what cannot be', async () => {
    const { ask, keys } = tunnel(0);
    const open = { name: 'wg1', privateKey: keys.privateKey, mtu: MTU, addresses: [] };
    await assert.rejects(
      ask({ open: { ...open, listenPort: TUNNEL_PORT } }),
      /UDP port 51820 is in use in the namespace/,
    );
    await assert.rejects(
      ask({ open: { ...open, name: 'x'.repeat(16), listenPort: 0 } }),
      /invalid name of a device: x{16}/,
    );
    const [peer] = others(0);
    assert(peer);
    for (const [bad, message] of [
      [{ ...peer, publicKey: 'AAAA' }, /invalid WireGuard key: expected 32 bytes in base64/],
      [{ ...peer, endpoint: { ip: 'name.test', port: 1 } }, /invalid endpoint of the peer/],
      [{ ...peer, subnets: ['10.99.2.1/24'] }, /invalid subnet of the peer/],
      [{ ...peer, subnets: ['10.0.2.0/24'] }, /add the route to 10\.0\.2\.0\/24: EEXIST/],
    ] as const) {
      await assert.rejects(ask({ configure: [bad] }), message);
    }
  });
});

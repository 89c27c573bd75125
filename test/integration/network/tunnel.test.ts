import assert from 'node:assert/strict';
import type { Peer } from '../../../child/wireguard/device.js';
import { generatePresharedKey } from '../../../protocol/wireguard/keys.js';
import { type RunningStack, startStack, waitFor } from '../../support/index.js';
import { startHosts, type TestHosts } from '../../support/overlay/hosts.js';
import { startTunnel, TUNNEL_PORT, type Tunnel } from '../../support/overlay/tunnel.js';

const PUBLIC_PORT = 51821;
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
data = os.urandom(1 << 20) * 20
c = socket.create_connection((sys.argv[1], 7000)); c.sendall(data); c.shutdown(socket.SHUT_WR)
print(c.makefile().read() == '%d %s' % (len(data), hashlib.sha256(data).hexdigest()))`;

describe('a WireGuard device in a stack', () => {
  let network: TestHosts;
  const stacks: RunningStack[] = [];
  const tunnels: Tunnel[] = [];

  const tunnel = (index: number) => tunnels[index] ?? assert.fail('no such host');
  /** The third host cannot be reached by the others: nobody knows where it is, and it publishes nothing. */
  const peerOf = (index: number): Peer => ({
    publicKey: tunnel(index).keys.publicKey,
    presharedKey,
    subnets: [subnet(index)],
    ...(index < 2 && { endpoint: { ip: `192.0.2.${index + 1}`, port: PUBLIC_PORT } }),
  });
  const others = (index: number) => [0, 1, 2].filter((other) => other !== index).map(peerOf);
  const ping = (from: number, to: string, ...options: string[]) =>
    tunnel(from).stack.enter('ping', '-n', '-c1', '-W1', ...options, to);
  const reaches = (from: number, to: string) =>
    waitFor(async () => (await ping(from, to)).code === 0, { what: `${from} to reach ${to}` });

  before(async () => {
    network = await startHosts(3);
    const networks = ['--net=builtin', '--net=slirp4netns', '--net=builtin'];
    for (const [index, { wrapper }] of network.hosts.entries()) {
      const publish = index < 2 ? [`0.0.0.0:${PUBLIC_PORT}:${TUNNEL_PORT}/udp`] : [];
      stacks.push(await startStack({ args: [networks[index] ?? ''], publish, wrapper }));
    }
    for (const stack of stacks) tunnels.push(await startTunnel(stack));
    for (const [index, { ask, keys }] of tunnels.entries()) {
      const { privateKey } = keys;
      const addresses = [`${address(index)}/32`];
      await ask({ open: { name: 'wg0', privateKey, listenPort: TUNNEL_PORT, mtu: MTU, addresses } });
    }
    for (const [index, { ask }] of tunnels.entries()) await ask({ configure: others(index) });
  });
  after(async () => {
    for (const { program } of tunnels) await program.stop();
    for (const stack of stacks) await stack[Symbol.asyncDispose]();
    await network?.[Symbol.asyncDispose]();
  });

  it('connects hosts, whatever their network drivers are, also one that only reaches the others', async () => {
    await reaches(0, address(1));
    await reaches(1, address(0));
    await reaches(2, address(0));
    await reaches(2, address(1));
    // They have learnt where it is.
    await reaches(0, address(2));
    await reaches(1, address(2));
    const { peers = [] } = await tunnel(0).ask({ peers: true });
    assert.equal(peers.length, 2);
    for (const { lastHandshake, bytesReceived, endpoint } of peers) {
      assert(lastHandshake > Date.now() - 60_000 && bytesReceived > 0);
      assert.match(endpoint, /^192\.0\.2\.[23]:\d+$/);
    }
  });

  it('carries the largest packets, and none that are larger', async () => {
    const largest = MTU - 28;
    assert.equal((await ping(0, address(1), '-Mdo', `-s${largest}`)).code, 0);
    const { code, stdout, stderr } = await ping(0, address(1), '-Mdo', `-s${largest + 1}`);
    assert.equal(code, 1);
    assert.match(`${stdout}${stderr}`, /message too long, mtu=1420|mtu ?= ?1420/i);
    // In fragments.
    assert.equal((await ping(0, address(1), '-s60000')).code, 0);
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
});

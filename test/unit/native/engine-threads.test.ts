import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { native } from '../../../native/index.js';
import { encodeTarget } from '../../../protocol/wire/messages.js';
import { echo, udpAsk, waitFor } from '../../support/index.js';
import { EngineSide, type LocalServer, localServer } from '../../support/stacks/engine-side.js';

const THREADS = 4;

/** Receives the channels that the parent adds for its other threads; the parent's own one is descriptor 3. */
const HOSTILE_AGENT = `
import socket
agent = socket.socket(fileno=3)
added = [socket.socket(fileno=socket.recv_fds(agent, 64, 1)[1][0]) for _ in range(${THREADS - 1})]`;

/** An engine with several threads, and an agent that leads every port to 127.0.0.1. */
class Pair implements Disposable {
  readonly parent = new EngineSide({ threads: THREADS });
  agent: EngineSide;
  #channel = 0;
  #ports = 0;

  constructor() {
    this.agent = this.#newAgent();
  }

  /** After the last one was closed. */
  newAgent(): void {
    this.agent = this.#newAgent();
  }

  #newAgent(): EngineSide {
    const agent = new EngineSide({}, (event) => {
      if (event.type === 'plan-wanted') agent.engine.setPlan(event.target, ['127.0.0.1'], false);
    });
    const [up, down] = native().socketpair();
    agent.engine.serveConnects(1);
    agent.engine.openChannel(1, down);
    this.parent.engine.openChannel(++this.#channel, up);
    this.parent.engine.setAgent(this.#channel);
    return agent;
  }

  publish(childPort: number, type: 'tcp' | 'udp' = 'tcp'): { id: number; port: number } {
    const id = ++this.#ports;
    const { fd, port } = native().listen('127.0.0.1', 0, type, false);
    const target = encodeTarget({
      proto: type,
      ip: '',
      parentIP: '',
      hostGatewayIP: '',
      source: 'hide',
      container: '',
    });
    this.parent.engine.addPorts(id, type, [fd], childPort, target, 0);
    return { id, port };
  }

  [Symbol.dispose](): void {
    this.agent.engine.close();
    this.parent.engine.close();
  }
}

/** How many descriptors each epoll set of this process has, by the set's own descriptor (proc(5), fdinfo). */
function watched(): Map<string, number> {
  const sets = new Map<string, number>();
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`) !== 'anon_inode:[eventpoll]') continue;
      sets.set(fd, readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8').match(/^tfd:/gm)?.length ?? 0);
    } catch {
      // It has been closed meanwhile.
    }
  }
  return sets;
}

/** How many of the sets have more than before, each by how much. */
function growth(before: Map<string, number>, sets: ReadonlySet<string>): number[] {
  return [...watched()].filter(([fd]) => sets.has(fd)).map(([fd, count]) => count - (before.get(fd) ?? 0));
}

const echoServer = () => localServer((socket) => socket.pipe(socket));

async function open(port: number, count: number): Promise<Socket[]> {
  const sockets = Array.from({ length: count }, () => connect(port, '127.0.0.1'));
  await Promise.all(sockets.map((socket) => echo(socket, 'hello')));
  return sockets;
}

describe('an engine with several threads', () => {
  let server: LocalServer;
  before(async () => {
    server = await echoServer();
  });
  after(() => server[Symbol.asyncDispose]());

  it('gives each of them as many connections, and keeps one count', async () => {
    const others = new Set(watched().keys());
    using pair = new Pair();
    const { id, port } = pair.publish(server.port);
    const before = watched();
    const own = new Set([...before.keys()].filter((fd) => !others.has(fd)));
    const sockets = await open(port, 4 * THREADS);
    assert.equal(pair.parent.engine.counters(id)?.open, 4 * THREADS);
    // A thread counts after it has sent: the client may have the bytes before.
    const bytes = () => [pair.parent.engine.counters(id)?.bytesIn, pair.parent.engine.counters(id)?.bytesOut];
    await waitFor(() => bytes().every((count) => count === 4 * THREADS * 5), { what: 'all bytes counted' });
    // Two sockets of each connection.
    assert.deepEqual(growth(before, own).filter((more) => more >= 8).length, THREADS, `${growth(before, own)}`);
    for (const socket of sockets) socket.destroy();
    await waitFor(() => pair.parent.engine.counters(id)?.open === 0, { what: 'no open connections' });
    assert.equal(pair.parent.engine.counters(id)?.opened, 4 * THREADS);
  });

  it('lists the connections and flows of all of them', async () => {
    using pair = new Pair();
    const web = pair.publish(server.port);
    const silent = createSocket('udp4');
    await new Promise<void>((resolve) => silent.bind(0, '127.0.0.1', resolve));
    const dns = pair.publish(silent.address().port, 'udp');
    const sockets = await open(web.port, 2 * THREADS);
    const datagrams = createSocket('udp4').on('error', () => {});
    try {
      datagrams.connect(dns.port, '127.0.0.1', () => datagrams.send('hello'));
      const list = () => pair.parent.engine.portFlows(100);
      await waitFor(() => list().some(({ protocol }) => protocol === 'udp'), { what: 'the flow of UDP' });
      const tcp = list().filter(({ protocol }) => protocol === 'tcp');
      assert.deepEqual(
        tcp.map(({ client }) => client).sort(),
        sockets.map(({ localPort }) => `127.0.0.1:${localPort}`).sort(),
      );
      assert.equal(new Set(tcp.map(({ connection }) => connection)).size, tcp.length);
      for (const { port } of tcp) assert.equal(port, web.id);
      const counted = () => list().filter(({ bytesIn, bytesOut }) => bytesIn === 5 && bytesOut === 5);
      await waitFor(() => counted().length === tcp.length, { what: 'the bytes of each' });
      assert.equal(pair.parent.engine.portFlows(3).length, 3);
      assert.deepEqual(pair.parent.engine.outboundFlows(100), []);
      for (const socket of sockets) socket.destroy();
      await waitFor(() => list().every(({ protocol }) => protocol === 'udp'), { what: 'the end of the connections' });
    } finally {
      datagrams.close();
      silent.close();
      for (const socket of sockets) socket.destroy();
    }
  });

  it('numbers connections once, and reports each', async () => {
    using pair = new Pair();
    pair.parent.engine.watchConnections(true);
    const { port } = pair.publish(server.port);
    const sockets = await open(port, 2 * THREADS);
    for (const socket of sockets) socket.destroy();
    await pair.parent.wait('connection-closed', 2 * THREADS);
    const numbers = pair.parent.of('connection-opened').map(({ connection }) => connection);
    assert.equal(new Set(numbers).size, 2 * THREADS);
  });

  it('closes all connections of a range when it reports that its ports are closed', async () => {
    using pair = new Pair();
    const published = Array.from({ length: THREADS }, () => pair.publish(server.port));
    const sockets = (await Promise.all(published.map(({ port }) => open(port, THREADS)))).flat();
    const ends = sockets.map((socket) => new Promise((resolve) => socket.on('error', resolve)));
    pair.parent.engine.removePorts(1, THREADS);
    await pair.parent.wait('port-closed');
    await Promise.all(ends);
    // Their addresses are free.
    for (const { port } of published) native().closeFd(native().listen('127.0.0.1', port, 'tcp', false).fd);
  });

  it('waits for the next agent on every thread', async () => {
    using pair = new Pair();
    const tcp = Array.from({ length: THREADS }, () => pair.publish(server.port));
    for (const { port } of tcp) (await open(port, 1))[0]?.destroy();
    pair.agent.engine.close();
    await pair.parent.wait('channel-closed');
    const waiting = Promise.all(tcp.map(({ port }) => open(port, THREADS)));
    pair.newAgent();
    for (const socket of (await waiting).flat()) socket.destroy();
  });

  it('refuses on every thread what waits for an agent that cannot be started', async () => {
    using pair = new Pair();
    const { id, port } = pair.publish(server.port);
    pair.parent.engine.setAgent(0);
    const sockets = Array.from({ length: 2 * THREADS }, () => connect(port, '127.0.0.1'));
    await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
    const ends = sockets.map((socket) => new Promise((resolve) => socket.once('error', resolve)));
    const fail = setInterval(() => pair.parent.engine.failWaiting('no agent'), 20);
    await Promise.all(ends);
    clearInterval(fail);
    assert.equal(pair.parent.engine.counters(id)?.refused, 2 * THREADS);
  });

  it('serves UDP ports on all of them', async () => {
    using pair = new Pair();
    const udp = createSocket('udp4');
    udp.on('message', (data, from) => udp.send(data, from.port, from.address));
    await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', resolve));
    const ports = Array.from({ length: 2 * THREADS }, () => pair.publish(udp.address().port, 'udp'));
    for (const { id, port } of ports) {
      assert.equal((await udpAsk('127.0.0.1', port, 'hello')).toString(), 'hello');
      assert.equal(pair.parent.engine.counters(id)?.opened, 1);
    }
    udp.close();
  });

  for (const [what, action] of [
    ['ends the channel of one of them', 'added[0].close()'],
    ['sends an invalid packet on it', 'added[0].send(b"\\x91\\x63")'],
    ['sends an answer of the wrong kind on it', 'added[0].send(b"\\x81\\xa4type\\xa4pong")'],
  ] as const) {
    it(`replaces an agent that ${what}`, async () => {
      using parent = new EngineSide({ threads: THREADS });
      const [up, down] = native().socketpair();
      const agent = spawn('python3', ['-c', `${HOSTILE_AGENT}\n${action}\nagent.recv(1)`], {
        stdio: ['ignore', 'inherit', 'inherit', down],
      });
      native().closeFd(down);
      parent.engine.openChannel(1, up);
      parent.engine.setAgent(1);
      assert.equal((await parent.wait('channel-closed')).channel, 1);
      agent.kill();
    });
  }
});

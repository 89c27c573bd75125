import assert from 'node:assert/strict';
import { kill } from 'node:process';
import {
  echo,
  openConnection,
  outcomeOf,
  type RunningStack,
  run,
  startStack,
  tcpRequest,
  waitFor,
} from '../../../support/index.js';
import { pseudoRandom, pseudoRandomHash } from '../../../support/traffic/traffic.js';
import { freeRange } from '../suite/common.js';

const TCP = 7001;
const THREADS = 3;
/** Connections that are open at once are divided among the threads: so many are on each. */
const ON_EACH = 2;
const AT_ONCE = ON_EACH * THREADS;

/** Listens on the ports from argv[1] on, argv[2] of them; sends each client the number of the port that it has reached. */
const NUMBERED_SERVERS = `
import socket, sys, threading
def serve(listener, port, held=[]):
    while True:
        held.append(listener.accept()[0])
        held[-1].sendall(str(port).encode())
for port in range(int(sys.argv[1]), int(sys.argv[1]) + int(sys.argv[2])):
    listener = socket.create_server(('127.0.0.1', port), backlog=64)
    threading.Thread(target=serve, args=(listener, port)).start()
print('ready', flush=True)`;

/** Tries to listen where another socket listens, with SO_REUSEPORT; prints the errno, or 0. */
const LISTEN_TOO = `
import socket, sys
kind = socket.SOCK_STREAM if sys.argv[1] == 'tcp' else socket.SOCK_DGRAM
with socket.socket(socket.AF_INET, kind) as other:
    other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1 if kind == socket.SOCK_STREAM else 0)
    try:
        other.bind((sys.argv[2], int(sys.argv[3])))
        if kind == socket.SOCK_STREAM: other.listen()
        print(0)
    except OSError as error:
        print(error.errno)`;

describe('several threads that relay', () => {
  it('are shown by rootlessctl info, unless it is one', async () => {
    await using several = await startStack({ args: ['--net=none', `--port-threads=${THREADS}`] });
    assert.match((await several.ctl('info')).stdout, new RegExp(`^ {2}- Threads: ${THREADS}$`, 'm'));
    await using one = await startStack({ args: ['--net=none', '--port-threads=1'] });
    assert.doesNotMatch((await one.ctl('info')).stdout, /Threads/);
  });

  for (const proto of ['tcp', 'udp']) {
    it(`keep the address of a published port from other processes of the user, over ${proto}`, async () => {
      await using stack = await startStack({ args: ['--net=none', `--port-threads=${THREADS}`] });
      for (const ip of ['127.0.0.2', '0.0.0.0']) {
        const { id, port } = await stack.publish(`${ip}:0:${TCP}/${proto}`);
        const { stdout } = await run('python3', ['-c', LISTEN_TOO, proto, '127.0.0.2', String(port)]);
        assert.equal(stdout.trim(), '98');
        await stack.api.removePort(id);
      }
    });
  }

  it('serve connections again when the agent was killed, and keep those that are open', async () => {
    await using stack = await startStack({ args: ['--net=none', `--port-threads=${THREADS}`] });
    await using _server = await stack.program('tcp-server', 'echo', '127.0.0.1', TCP);
    const { id, host, port } = await stack.publish(`127.0.0.2:0:${TCP}`);
    const open = await Promise.all(Array.from({ length: 2 * THREADS }, () => openConnection(host, port)));
    for (const socket of open) assert.equal(await echo(socket, 'before'), 'before');
    for (const { pid } of stack.below('child/agent')) kill(pid, 'SIGKILL');
    const answers = await Promise.all(
      Array.from({ length: 4 * THREADS }, (_, i) => tcpRequest(host, port, `request ${i}`)),
    );
    assert.deepEqual(
      answers.map(String),
      answers.map((_, i) => `request ${i}`),
    );
    for (const socket of open) assert.equal(await echo(socket, 'after'), 'after');
    for (const socket of open) socket.destroy();
    await waitFor(async () => (await stack.counters(id)).open === 0, { what: 'no open connections' });
    assert.equal((await stack.counters(id)).opened, 6 * THREADS);
  });
});

describe('connections that are on another thread than their listener', () => {
  let stack: RunningStack;
  before(async () => {
    stack = await startStack({ args: ['--net=none', `--port-threads=${THREADS}`] });
  });
  after(() => stack?.[Symbol.asyncDispose]());

  for (const version of [1, 2]) {
    it(`begin with the header of the PROXY protocol, version ${version}`, async () => {
      await using _server = await stack.program('tcp-server', 'echo', '127.0.0.1', TCP);
      const { id, host, port } = await stack.publish(`127.0.0.2:0:${TCP}/tcp+proxy${version}`);
      const sockets = await Promise.all(Array.from({ length: AT_ONCE }, () => openConnection(host, port)));
      for (const socket of sockets) socket.write('hello');
      for (const socket of sockets) {
        await waitFor(() => socket.readableLength > 20, { what: 'the header' });
        const data = socket.read() as Buffer;
        const { localAddress, localPort = 0 } = socket;
        const ports = Buffer.alloc(4);
        ports.writeUInt16BE(localPort, 0);
        ports.writeUInt16BE(port, 2);
        const head =
          version === 1 ? `PROXY TCP4 ${localAddress} ${host} ${localPort} ${port}\r\n` : ports.toString('latin1');
        const end = data.toString('latin1').slice(-`${head}hello`.length);
        assert.equal(end, `${head}hello`);
      }
      for (const socket of sockets) socket.destroy();
      await stack.api.removePort(id);
    });
  }

  it('pass on the end of either side alone', async () => {
    const length = 2_000_000;
    await using _digest = await stack.program('tcp-server', 'digest', '127.0.0.1', TCP);
    await using half = await stack.program('tcp-server', 'half', '127.0.0.1', TCP + 1);
    const ofClient = await stack.publish(`127.0.0.2:0:${TCP}`);
    const ofServer = await stack.publish(`127.0.0.2:0:${TCP + 1}`);
    const open = (port: number) =>
      Promise.all(Array.from({ length: AT_ONCE }, () => openConnection('127.0.0.2', port)));
    const [asking, taking] = [await open(ofClient.port), await open(ofServer.port)];
    const outcomes = [...asking, ...taking].map(outcomeOf);
    for (const socket of [...asking, ...taking]) pseudoRandom(length).pipe(socket);
    const answers = (await Promise.all(outcomes)).map(({ data, error }) => [data.toString(), error]);
    assert.deepEqual(
      answers,
      answers.map((_, i) => [i < AT_ONCE ? pseudoRandomHash(length) : 'bye', undefined]),
    );
    const received = () => half.output().match(new RegExp(`received ${length}$`, 'gm'))?.length;
    await waitFor(() => received() === AT_ONCE, { what: 'the servers to have it all' });
    for (const id of [ofClient.id, ofServer.id]) {
      await waitFor(async () => (await stack.counters(id)).open === 0, { what: 'no open connections' });
    }
  });

  it('lead to the right port of a range, and end with it', async () => {
    const words = ['python3', '-c', NUMBERED_SERVERS, String(TCP), String(AT_ONCE)];
    await using _servers = await stack.inside(words, { output: /ready/ });
    const first = await freeRange('127.0.0.2', AT_ONCE);
    const range = `127.0.0.2:${first}-${first + AT_ONCE - 1}:${TCP}-${TCP + AT_ONCE - 1}`;
    const added = await stack.ctl('add-ports', range);
    assert.equal(added.code, 0, added.stderr);
    const ports = Array.from({ length: AT_ONCE }, (_, i) => Array.from({ length: THREADS }, () => first + i)).flat();
    const sockets = await Promise.all(ports.map((port) => openConnection('127.0.0.2', port)));
    for (const [i, socket] of sockets.entries()) {
      await waitFor(() => socket.readableLength >= 4, { what: 'the number of the port' });
      assert.equal(String(socket.read()), String((ports[i] ?? 0) - first + TCP));
    }
    const ends = sockets.map(outcomeOf);
    const removed = await stack.ctl('remove-ports', ...added.stdout.trim().split('\n'));
    assert.equal(removed.code, 0, removed.stderr);
    for (const { error } of await Promise.all(ends)) assert.equal(error, 'ECONNRESET');
  });
});

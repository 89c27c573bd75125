/** Sockets that an agent has sent up and keeps changing cost their own connections, and no others. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { pack } from 'msgpackr';
import { echo, openConnection, tempDir, waitFor } from '../../support/index.js';
import { HostilePair, localServer } from '../../support/stacks/engine-side.js';
import { hostileSockets } from '../../support/traffic/hostile-sockets.js';

const COUNT = 100;

/** How much longer things take here than otherwise: ThreadSanitizer's documentation has 5 to 15 times, AddressSanitizer's 2. */
const SLOWDOWN = process.env.TSAN_OPTIONS ? 15 : process.env.ASAN_OPTIONS ? 2 : 1;

/** Milliseconds that connections take from their beginning to their first answer, the middle one of 21. */
async function medianConnection(port: number): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 21; i++) {
    const start = performance.now();
    const socket = await openConnection('127.0.0.1', port);
    await echo(socket, 'answer');
    times.push(performance.now() - start);
    socket.destroy();
  }
  times.sort((a, b) => a - b);
  // No single connection takes long either.
  assert((times.at(-1) ?? 0) < 5000 * SLOWDOWN, `a connection took ${times.at(-1)} ms`);
  return times[10] ?? Number.NaN;
}

/** Time limit of a connection next to hostile sockets, if `usual` ms without them; generous, for busy machines. */
const limit = (usual: number) => 150 * SLOWDOWN + 10 * usual;

/** Has the agent itself serve the port: it connects to the target. */
async function serveHonestly(pair: HostilePair, childPort: number): Promise<{ port: number }> {
  const { port, target } = pair.publish(childPort);
  connect(port, '127.0.0.1')
    .on('error', () => {})
    .resume();
  await pair.asked(1);
  pair.agent.engine.setPlan(target, ['127.0.0.1'], false);
  const socket = await openConnection('127.0.0.1', port);
  await pair.asked(1);
  await echo(socket, 'answer');
  socket.destroy();
  return { port };
}

/** Which part of a processor this process uses during that time, which is in ms. */
async function processorShare(ms: number): Promise<number> {
  const before = process.cpuUsage();
  await new Promise((resolve) => setTimeout(resolve, ms));
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / ms;
}

describe(`${COUNT} hostile sockets beside an honest port`, () => {
  const cases: Record<string, string> = {
    'in blocking mode': 'for s in sockets: blocking(s)',
    'with SO_LINGER': 'for s in sockets: linger(s)',
    'in blocking mode and with SO_LINGER, changed again and again': `
def change():
    while True:
        for s in sockets:
            try: blocking(s, False); blocking(s); linger(s)
            except OSError: pass
threading.Thread(target=change, daemon=True).start()`,
    'with a small send buffer, a high SO_RCVLOWAT, and busy polling': `
for s in sockets:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1 << 20)
    try: s.setsockopt(socket.SOL_SOCKET, 46, 1000)
    except OSError: pass
    blocking(s)`,
    'that are dissolved and listen': `
import ctypes
libc = ctypes.CDLL(None)
def change():
    while not os.path.exists(GO): time.sleep(0.01)
    for s in sockets:
        libc.connect(s.fileno(), bytes(16), 16)
        try: s.bind(('127.0.0.1', 0)); s.listen()
        except OSError: pass
threading.Thread(target=change, daemon=True).start()`,
  };
  for (const [what, script] of Object.entries(cases)) {
    it(what, async function () {
      this.timeout(60_000);
      using pair = await HostilePair.make();
      await using echoes = await localServer((socket) => socket.pipe(socket));
      // Reads nothing, and sends much.
      await using deaf = await localServer((socket) => {
        socket.pause();
        socket.write(Buffer.alloc(1 << 20));
      });
      const honest = await serveHonestly(pair, echoes.port);
      const usual = await medianConnection(honest.port);

      // Made when all are relayed.
      const go = join(tempDir(), 'go');
      using hostile = await hostileSockets(
        COUNT,
        `GO = '${go}'\ntcp(${COUNT}, ${deaf.port})\n${script}\nfor s in sockets: send(s)\ntime.sleep(600)`,
      );
      const clients: Socket[] = [];
      for (let i = 0; i < COUNT; i++) {
        const bad = pair.publish(deaf.port);
        const client = connect(bad.port, '127.0.0.1').on('error', () => {});
        client.write(Buffer.alloc(1 << 20));
        clients.push(client);
      }
      await pair.agent.wait('plan-wanted', COUNT + 1);
      for (const fd of hostile.fds) pair.send(pack([2, await pair.asked(1)]), [fd]);
      const during = await medianConnection(honest.port);
      writeFileSync(go, '');
      const changed = await medianConnection(honest.port);
      for (const client of clients) client.end();
      const after = await medianConnection(honest.port);
      for (const client of clients) client.resetAndDestroy();
      const atTheEnd = await medianConnection(honest.port);
      const most = Math.max(during, changed, after, atTheEnd);
      assert(
        most < limit(usual),
        `a connection took ${during}, ${changed}, ${after}, ${atTheEnd} ms; before ${usual} ms`,
      );
      assert(pair.parent.log.length <= 11, pair.parent.log.join('\n'));
    });
  }

  // SO_TIMESTAMPING with SOF_TIMESTAMPING_TX_SOFTWARE, _SOFTWARE, _OPT_TSONLY: a report for each datagram; IP_RECVERR: one
  // for each ICMP message. Both wait until they are read with MSG_ERRQUEUE.
  it('whose errors wait to be read', async function () {
    this.timeout(60_000);
    using pair = await HostilePair.make();
    await using echoes = await localServer((socket) => socket.pipe(socket));
    const honest = await serveHonestly(pair, echoes.port);
    const usual = await medianConnection(honest.port);
    const sink = createSocket('udp4');
    sink.on('message', (_, { port, address }) => sink.send('answer', port, address));
    await new Promise<void>((resolve) => sink.bind(0, '127.0.0.1', resolve));
    const { port: to } = sink.address();
    using hostile = await hostileSockets(
      COUNT,
      `
for _ in range(${COUNT}):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(('127.0.0.1', ${to}))
    s.setsockopt(socket.IPPROTO_IP, 11, 1)
    s.setsockopt(socket.SOL_SOCKET, 37, 2 | 16 | 2048)
    sockets.append(s)
    send(s)
while True:
    for s in sockets:
        try: s.send(b'x')
        except OSError: pass
    time.sleep(0.02)`,
    );
    let answers = 0;
    const client = createSocket('udp4').on('message', () => answers++);
    for (let i = 0; i < COUNT; i++) client.send('first', pair.publish(to, 'udp').port, '127.0.0.1');
    await pair.agent.wait('plan-wanted', COUNT + 1);
    for (const fd of hostile.fds) pair.send(pack([2, await pair.asked(1)]), [fd]);
    await waitFor(() => answers >= COUNT, { what: 'the answers' });
    const median = await medianConnection(honest.port);
    // From now on each datagram brings an ICMP message.
    sink.close();
    client.close();
    assert(median < limit(usual), `a connection took ${median} ms; before ${usual} ms`);
    await waitFor(async () => (await processorShare(300)) < 0.15, {
      what: 'the engine to be at rest',
      timeout: 15_000,
    });
  });
});

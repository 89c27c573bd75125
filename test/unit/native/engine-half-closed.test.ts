/** Connections of which one side has ended: how long they last, and what still passes. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { pack } from 'msgpackr';
import { native } from '../../../native/index.js';
import { openConnection, outcomeOf, run, start, waitFor } from '../../support/index.js';
import { pythonProgram } from '../../support/paths.js';
import { HostilePair, localServer } from '../../support/stacks/engine-side.js';
import { connectedSocket, setOption } from '../../support/traffic/raw-socket.js';

/** A server that ends its side when a client comes and closes the socket, which its kernel forgets after a second. */
const CLOSING_SERVER = pythonProgram('traffic/closing-server');

/** Sends as much, ends in order, and resets when all of that has been received. */
const LEAVING_CLIENT = pythonProgram('traffic/leaving-client');

class Ports {
  #asked = 0;
  constructor(private readonly pair: HostilePair) {}

  /** A connection to a server, through a port of its own; `prepare` gets the child's socket before the relay does. */
  async connect(
    server: number,
    open: (port: number) => Promise<Socket>,
    prepare?: (fd: number) => void,
  ): Promise<{ id: number; socket: Socket }> {
    const { id, port } = this.pair.publish(server);
    const socket = await open(port);
    socket.on('error', () => {});
    await this.answer(server, prepare);
    return { id, socket };
  }

  async answer(server: number, prepare?: (fd: number) => void): Promise<void> {
    const [fd, copy] = await connectedSocket('127.0.0.1', server);
    prepare?.(copy);
    native().closeFd(copy);
    this.pair.send(pack([2, await this.pair.asked(++this.#asked)]), [fd]);
  }

  open = (id: number) => this.pair.parent.engine.counters(id)?.open;
}

const local = (port: number) => openConnection('127.0.0.1', port);

describe('a connection that has ended on one side', () => {
  it('is closed when the server has closed its socket and is forgotten, and not while a server reads on', async () => {
    using pair = await HostilePair.make({ halfClosedCheck: 50, halfClosedProbe: 1000 });
    const ports = new Ports(pair);
    // It ends its side, and answers what comes with a line to us.
    const received: string[] = [];
    await using reading = await localServer((socket) => {
      socket.end('half').on('data', (data) => received.push(data.toString()));
    });
    await using closing = await start('python3', ['-c', CLOSING_SERVER], { ready: { output: /^\d+\n/ } });
    const kept = await ports.connect(reading.port, local);
    const left = await ports.connect(Number.parseInt(closing.output(), 10), local);
    const back: string[] = [];
    let error: NodeJS.ErrnoException | undefined;
    left.socket
      .on('data', (data) => back.push(data.toString()))
      .on('error', (e) => {
        error = e;
      });
    await once(left.socket, 'end');
    assert.equal(back.join(''), 'bye');
    await waitFor(() => ports.open(left.id) === 0, { what: 'the end of the connection' });
    // As without a relay the client learns of it only by sending.
    assert.equal(error, undefined);
    const refused = () => {
      left.socket.write('still there?');
      return error;
    };
    await waitFor(refused, { what: 'the reset' });

    assert.equal(ports.open(kept.id), 1);
    kept.socket.resume().write('more');
    await waitFor(() => received.join('') === 'more', { what: 'what the client sent late' });
    kept.socket.destroy();
  });

  it('is closed after the idle time if the server has ended, and stays open if the client has', async () => {
    using pair = await HostilePair.make({ halfClosedCheck: 50, halfClosedIdle: 400 });
    const ports = new Ports(pair);
    await using ending = await localServer((socket) => void socket.end('half'));
    let answer = () => {};
    await using thinking = await localServer((socket) => {
      answer = () => void socket.end('at last');
    });
    const waiting = await ports.connect(thinking.port, local);
    const outcome = outcomeOf(waiting.socket);
    waiting.socket.end('a question');
    await waitFor(() => pair.parent.engine.counters(waiting.id)?.bytesIn === 10);

    const left = await ports.connect(ending.port, local);
    left.socket.resume();
    await waitFor(() => ports.open(left.id) === 0, { what: 'the end of the connection' });
    // A second one, so that the first has been checked often enough.
    const next = await ports.connect(ending.port, local);
    next.socket.resume();
    await waitFor(() => ports.open(next.id) === 0, { what: 'the end of the second connection' });

    assert.equal(ports.open(waiting.id), 1);
    answer();
    assert.deepEqual(await outcome, { data: Buffer.from('at last'), ended: true, error: undefined });
    for (const { socket } of [left, next]) socket.destroy();
  });

  it('delivers all that a client sent before it ended in order, when its reset comes while the server is slow', async () => {
    using pair = await HostilePair.make({ halfClosedCheck: 50 });
    const ports = new Ports(pair);
    const length = 120_000;
    await using slow = await localServer((socket) => {
      socket.pause();
      socket.write('go');
    });
    const { id, port } = pair.publish(slow.port);
    const client = run('python3', ['-c', LEAVING_CLIENT, String(port), String(length)]);
    await ports.answer(slow.port, (fd) => setOption(fd, 's.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)'));
    assert.equal((await client).stderr, '');
    const [server] = slow.sockets;
    assert.ok(server);
    let received = 0;
    server.on('data', (data) => {
      received += data.length;
    });
    server.resume();
    await once(server, 'end');
    assert.equal(received, length);
    await waitFor(() => ports.open(id) === 0, { what: 'the end of the connection' });
  });
});

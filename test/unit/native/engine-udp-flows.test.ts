/** How long flows of UDP last, and what of a client's first datagrams arrives. */
import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { pack } from 'msgpackr';
import { native } from '../../../native/index.js';
import { waitFor } from '../../support/index.js';
import { HostilePair } from '../../support/stacks/engine-side.js';
import { connectedSocket } from '../../support/traffic/raw-socket.js';

/** A server of this process that answers with what `answers` returns, and a flow to it for each client. */
class Flows implements Disposable {
  readonly server = createSocket('udp4');
  readonly received: string[] = [];
  #clients: Socket[] = [];
  #port = 0;
  #published: { id: number; port: number } | undefined;

  constructor(private readonly pair: HostilePair) {}

  async listen(answers: (text: string) => string[]): Promise<void> {
    this.server.on('message', (data, from) => {
      this.received.push(data.toString());
      for (const answer of answers(data.toString())) this.server.send(answer, from.port, from.address);
    });
    this.server.bind(0, '127.0.0.1');
    await once(this.server, 'listening');
    this.#port = this.server.address().port;
    this.#published = this.pair.publish(this.#port, 'udp');
  }

  get counters() {
    return this.pair.parent.engine.counters(this.#published?.id ?? 0);
  }

  get port(): number {
    return this.#published?.port ?? 0;
  }

  async client(): Promise<Socket> {
    const client = createSocket('udp4');
    this.#clients.push(client);
    client.on('error', () => {}).connect(this.port, '127.0.0.1');
    await once(client, 'connect');
    return client;
  }

  /** Answers a request of the engine with a socket; `id` counts from 1. */
  async answer(id: number): Promise<void> {
    await waitFor(() => waiting(this.port) === 0, { what: 'the engine to have read all' });
    const [fd, copy] = await connectedSocket('127.0.0.1', this.#port, 'udp');
    native().closeFd(copy);
    this.pair.send(pack([2, id]), [fd]);
    await waitFor(() => this.counters?.opened === id, { what: 'the flow' });
  }

  [Symbol.dispose](): void {
    for (const socket of [this.server, ...this.#clients]) socket.close();
  }
}

/** Bytes that wait in sockets on that port (proc(5), /proc/net/udp). */
function waiting(port: number): number {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const lines = readFileSync('/proc/self/net/udp', 'utf8').split('\n');
  const queues = lines.map((line) => line.trim().split(/\s+/)).filter(([, local]) => local?.endsWith(`:${hex}`));
  return queues.reduce((sum, fields) => sum + Number.parseInt(fields[4]?.split(':')[1] ?? '0', 16), 0);
}

describe('flows of UDP', () => {
  it('end soon after a question and its answer, later without an answer, and last if there is more', async () => {
    using pair = await HostilePair.make({ udpAnswered: 100, udpUnanswered: 4000, udpStream: 60_000 });
    using flows = new Flows(pair);
    await flows.listen((text) => (text === 'unanswered' ? [] : text === 'stream' ? ['one', 'two'] : [text]));
    for (const [index, text] of ['stream', 'unanswered', 'question'].entries()) {
      const client = await flows.client();
      const answered = text === 'unanswered' ? undefined : once(client, 'message');
      client.send(text);
      await flows.answer(index + 1);
      await answered;
    }
    const open: number[] = [];
    await waitFor(
      () => {
        const now = flows.counters?.open ?? 0;
        if (open.at(-1) !== now) open.push(now);
        return now <= 1;
      },
      { what: 'two of the flows to end' },
    );
    assert.deepEqual(open.slice(-3), [3, 2, 1]);
    assert.equal(flows.counters?.opened, 3);
  });

  for (const [count, size] of [
    [500, 1400],
    [20, 20_000],
  ] as const) {
    it(`carry all of a first burst of ${count} datagrams of ${size} bytes that comes while the agent is asked`, async () => {
      using pair = await HostilePair.make();
      using flows = new Flows(pair);
      await flows.listen(() => []);
      const client = await flows.client();
      const sent = Array.from({ length: count }, (_, i) => `${i}`.padEnd(size, 'x'));
      // As fast as the host's socket accepts them; the server, whose buffer is the usual one, gets what fits.
      for (const text of sent) {
        client.send(text);
        await waitFor(() => waiting(flows.port) < 100_000, { what: 'the engine to read' });
      }
      await waitFor(() => waiting(flows.port) === 0, { what: 'the engine to have read all' });
      assert.equal(flows.received.length, 0);
      flows.server.setRecvBufferSize(4 << 20);
      await flows.answer(1);
      const fits = flows.server.getRecvBufferSize() >= 2 * (2 << 20);
      if (fits) {
        await waitFor(() => flows.received.length >= count, { what: `${count} datagrams` });
        assert.deepEqual(flows.received, sent);
      }
      await waitFor(() => flows.counters?.bytesIn === count * size, { what: 'all bytes counted' });
    });
  }

  it('carry what clients that take turns send, each in its order, while the agent is asked and later', async () => {
    using pair = await HostilePair.make();
    using flows = new Flows(pair);
    await flows.listen(() => []);
    flows.server.setRecvBufferSize(4 << 20);
    const clients = await Promise.all(Array.from({ length: 8 }, () => flows.client()));
    const sent: string[][] = clients.map(() => []);
    // Runs of one size, which leave coalesced, with shorter and longer ones between them; as many as a socket takes at once.
    const sizes = Array.from({ length: 14 }, (_, i) => (i % 7 === 3 ? 100 : i % 7 === 5 ? 700 : 300));
    const burst = () => {
      for (const size of sizes) {
        clients.forEach((client, name) => {
          const text = `${name}: ${sent[name]?.length} `.padEnd(size, 'x');
          sent[name]?.push(text);
          client.send(text);
        });
      }
    };
    burst();
    for (const name of clients.keys()) await flows.answer(name + 1);
    await waitFor(() => flows.received.length >= clients.length * sizes.length, { what: 'the first burst' });
    burst();
    await waitFor(() => flows.received.length >= 2 * clients.length * sizes.length, { what: 'the second burst' });
    for (const [name, texts] of sent.entries()) {
      assert.deepEqual(
        flows.received.filter((text) => text.startsWith(`${name}: `)),
        texts,
      );
    }
  });
});

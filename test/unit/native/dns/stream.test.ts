/** Clients that ask over TCP connections, hostile ones among them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { waitFor } from '../../../support/index.js';
import { encodeDns, numbers16 } from '../../../support/traffic/dns.js';
import {
  type Asked,
  answerTo,
  DnsServe,
  FakeResolver,
  readStream,
  withLength,
} from '../../../support/traffic/dns-serve.js';

const query = (id: number) => encodeDns({ id, name: [`host${id}`, 'example'] });

/** The ids of answers, as they come. */
function idsOf(socket: Socket): number[] {
  const ids: number[] = [];
  readStream(socket, (reply) => ids.push(reply.readUInt16BE()));
  return ids;
}

async function ended(socket: Socket): Promise<void> {
  if (!socket.readableEnded && !socket.destroyed) await Promise.race([once(socket, 'end'), once(socket, 'close')]);
  socket.destroy();
}

describe('a connection with DNS queries', () => {
  it('may have several at a time, which are answered as their answers come', async () => {
    await using resolver = await FakeResolver.make(() => {});
    await using side = await DnsServe.make(resolver.words);
    const socket = await side.connect();
    const ids = idsOf(socket);
    socket.write(Buffer.concat([1, 2, 3].map((id) => withLength(query(id)))));
    await resolver.wait(3);
    const byName = (id: number) => resolver.asked.find(({ query: asked }) => asked.includes(`host${id}`)) as Asked;
    for (const id of [3, 1, 2]) {
      const { query: asked, reply } = byName(id);
      reply(answerTo(asked));
      await waitFor(() => ids.includes(id), { what: `the answer to ${id}` });
    }
    assert.deepEqual(ids, [3, 1, 2]);
    socket.destroy();
  });

  it('may bring a query in pieces', async () => {
    await using resolver = await FakeResolver.make();
    await using side = await DnsServe.make(resolver.words);
    const socket = await side.connect();
    socket.setNoDelay(true);
    const ids = idsOf(socket);
    for (const byte of Buffer.concat([withLength(query(1)), withLength(query(2))])) {
      await new Promise((done) => socket.write(Buffer.from([byte]), done));
    }
    await waitFor(() => ids.length === 2, { what: 'both answers' });
    socket.destroy();
  });

  it('gets its answers after it has sent all, and is then closed', async () => {
    await using resolver = await FakeResolver.make(() => {});
    await using side = await DnsServe.make(resolver.words);
    const socket = await side.connect();
    const ids = idsOf(socket);
    socket.end(Buffer.concat([withLength(query(1)), withLength(query(2))]));
    await resolver.wait(2);
    for (const { query: asked, reply } of resolver.asked) reply(answerTo(asked));
    await ended(socket);
    assert.deepEqual(ids.sort(), [1, 2]);
    await waitFor(async () => (await side.state()).streams === 0, { what: 'its end' });
  });

  it('has a limited number of queries under way', async () => {
    await using resolver = await FakeResolver.make(() => {});
    await using side = await DnsServe.make(resolver.words);
    const socket = await side.connect();
    const ids = idsOf(socket);
    socket.write(Buffer.concat(Array.from({ length: 100 }, (_, id) => withLength(query(id)))));
    await resolver.wait(32);
    assert.equal((await side.state()).outstanding, 32);
    for (let done = 0; done < 100; done++) {
      const { query: asked, reply } = await resolver.wait(done + 1);
      reply(answerTo(asked));
      assert((await side.state()).outstanding <= 32);
    }
    await waitFor(() => ids.length === 100, { what: 'all answers' });
    socket.destroy();
  });

  it('ends with a query that is too long, and where its client resets it', async () => {
    await using resolver = await FakeResolver.make(() => {});
    await using side = await DnsServe.make(resolver.words);
    const long = await side.connect();
    long.resume();
    long.write(numbers16(4097));
    await ended(long);
    const leaving = await side.connect();
    leaving.write(withLength(query(1)));
    const { query: asked, reply } = await resolver.wait(1);
    leaving.resetAndDestroy();
    await waitFor(async () => (await side.state()).streams === 0, { what: 'its end' });
    // Its answer is for nobody.
    reply(answerTo(asked));
    await waitFor(async () => (await side.state()).outstanding === 0, { what: 'the answer' });
  });

  it('ends where nothing comes of it: idle, in the middle of a query, or with answers that are not read', async () => {
    const bulk = Buffer.alloc(60_000);
    await using resolver = await FakeResolver.make(({ query: asked, reply }) =>
      reply(Buffer.concat([answerTo(asked), bulk])),
    );
    await using side = await DnsServe.make(resolver.words);
    const [idle, slow, deaf] = [await side.connect(), await side.connect(), await side.connect()];
    idle.resume();
    slow.resume();
    slow.write(numbers16(40));
    const drip = setInterval(() => slow.write('x'), 500);
    deaf.pause();
    // More than the buffers of both sockets take.
    deaf.write(Buffer.concat(Array.from({ length: 400 }, (_, id) => withLength(query(id)))));
    await Promise.all([ended(idle), ended(slow)]);
    clearInterval(drip);
    await waitFor(async () => (await side.state()).streams === 0, { what: 'the end of all', timeout: 30_000 });
    deaf.destroy();
  });
});

/** Queries on their way to resolvers, and back. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { waitFor } from '../../../support/index.js';
import { edns, encodeDns, numbers16, types } from '../../../support/traffic/dns.js';
import { type Asked, answerTo, DnsServe, FakeResolver } from '../../../support/traffic/dns-serve.js';

const SERVFAIL = 2;
const rcode = (reply: Buffer) => reply.readUInt8(3) & 0xf;
const query = (id: number, host = 'one') => encodeDns({ id, name: [host, 'example'] });
const withoutId = (message: Buffer) => message.subarray(2).toString('hex');
const mute = () => {};
const servfail = ({ query: asked, reply }: Asked) => reply(answerTo(asked, 0x8180 | SERVFAIL));

/** A port of 127.0.0.1 where nobody is. */
async function refusing(): Promise<string> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  await new Promise<void>((done) => socket.close(done));
  return `127.0.0.1 ${port}`;
}

describe('a DNS query over UDP', () => {
  it('reaches a resolver as it was sent, but for its id, and so does the answer', async () => {
    await using resolver = await FakeResolver.make();
    await using side = await DnsServe.make(resolver.words);
    const sent = encodeDns({
      flags: 0x0130,
      name: ['wWw', 'EXample'],
      type: types.AAAA,
      additionals: [edns(1400, numbers16(10, 4, 1, 2))],
    });
    assert.deepEqual(await side.ask(sent), answerTo(sent));
    assert.deepEqual(
      resolver.asked.map((asked) => withoutId(asked.query)),
      [withoutId(sent)],
    );
  });

  it('is asked once where an equal one is under way', async () => {
    await using resolver = await FakeResolver.make(mute);
    await using side = await DnsServe.make(resolver.words);
    const equal = [1, 2, 3].map((id) => side.ask(query(id)));
    const others = [
      encodeDns({ id: 4, name: ['One', 'example'] }),
      encodeDns({ id: 5, name: ['one', 'example'], flags: 0x0110 }),
      encodeDns({ id: 6, name: ['one', 'example'], additionals: [edns()] }),
      encodeDns({ id: 7, name: ['one', 'example'], type: types.AAAA }),
    ].map((other) => side.ask(other));
    await resolver.wait(5);
    assert.equal((await side.state()).outstanding, 7);
    for (const { query: asked, reply } of resolver.asked) reply(answerTo(asked));
    const ids = (await Promise.all([...equal, ...others])).map((reply) => reply.readUInt16BE());
    assert.deepEqual(ids, [1, 2, 3, 4, 5, 6, 7]);
    assert.equal(resolver.asked.length, 5);
    // It is not remembered.
    const again = side.ask(query(8));
    const { query: asked, reply } = await resolver.wait(6);
    reply(answerTo(asked));
    await again;
  });

  it('goes to the next resolver where the first is silent, which is then left alone', async () => {
    await using silent = await FakeResolver.make(mute);
    await using resolver = await FakeResolver.make();
    await using side = await DnsServe.make(silent.words, resolver.words);
    assert.equal(rcode(await side.ask(query(1))), 0);
    assert.equal(silent.asked.length, 1);
    for (let id = 2; id < 10; id++) await side.ask(query(id));
    assert.equal(silent.asked.length, 1);
    assert.equal(resolver.asked.length, 9);
  });

  it('accepts an answer that comes late', async () => {
    await using slow = await FakeResolver.make(mute);
    await using silent = await FakeResolver.make(mute);
    await using side = await DnsServe.make(slow.words, silent.words);
    const reply = side.ask(query(1));
    await silent.wait(1);
    const { query: asked, reply: answer } = await slow.wait(1);
    answer(answerTo(asked, 0x8183));
    assert.equal(rcode(await reply), 3);
  });

  it('goes to the next resolver at once where the first refuses, and fails where all do', async () => {
    await using resolver = await FakeResolver.make();
    await using side = await DnsServe.make(await refusing(), await refusing(), resolver.words);
    assert.equal(rcode(await side.ask(query(1))), 0);
    await side.setResolvers(await refusing(), await refusing());
    assert.equal(rcode(await side.ask(query(2))), SERVFAIL);
    await side.setResolvers();
    assert.equal(rcode(await side.ask(query(3))), SERVFAIL);
  });

  it('goes to the next resolver where one has an error of its own, which is passed on where all have', async () => {
    await using failing = await FakeResolver.make(servfail);
    await using resolver = await FakeResolver.make(({ query: asked, reply }) => reply(answerTo(asked, 0x8183)));
    await using other = await FakeResolver.make(({ query: asked, reply }) => reply(answerTo(asked, 0x8185)));
    await using side = await DnsServe.make(failing.words, resolver.words, other.words);
    // That a name does not exist is an answer.
    assert.equal(rcode(await side.ask(query(1))), 3);
    assert.equal(other.asked.length, 0);
    await side.setResolvers(failing.words, other.words);
    assert.equal(rcode(await side.ask(query(2))), 5);
  });

  it('accepts no answer but that to its question, from whom it was asked', async () => {
    await using resolver = await FakeResolver.make(mute);
    await using side = await DnsServe.make(resolver.words);
    const reply = side.ask(query(7));
    const { query: asked, reply: answer, port } = await resolver.wait(1);
    const right = answerTo(asked);
    const other = createSocket('udp4');
    await new Promise((done) => other.send(answerTo(asked, 0x8185), port, '127.0.0.1', done));
    await new Promise<void>((done) => other.close(done));
    const id = asked.readUInt16BE();
    const wrong = [
      Buffer.concat([numbers16(id ^ 1), answerTo(asked, 0x8185).subarray(2)]),
      asked,
      answerTo(encodeDns({ id, name: ['two', 'example'] }), 0x8185),
      answerTo(encodeDns({ id, name: ['ONE', 'example'] }), 0x8185),
      answerTo(encodeDns({ id, name: ['one', 'example'], type: types.AAAA }), 0x8185),
      answerTo(asked, 0x8185).subarray(0, 15),
      numbers16(id, 0x8180, 0, 0, 0, 0),
      Buffer.alloc(0),
    ];
    for (const message of [...wrong, right]) answer(message);
    assert.deepEqual(await reply, answerTo(query(7)));
  });

  it('fails when no resolver answers, each having been asked from other ports under other ids', async () => {
    await using silent = await FakeResolver.make(mute);
    await using side = await DnsServe.make(silent.words);
    assert.equal(rcode(await side.ask(query(1))), SERVFAIL);
    assert(silent.asked.length >= 4, `${silent.asked.length} times`);
    assert.equal(new Set(silent.asked.map(({ port }) => port)).size, silent.asked.length);
    assert(new Set(silent.asked.map(({ query: asked }) => asked.readUInt16BE())).size >= 3);
    const { descriptors } = await side.state();
    assert(descriptors < 16, `${descriptors} descriptors`);
  });

  it('is asked anew where the resolvers have changed', async () => {
    await using silent = await FakeResolver.make(mute);
    await using resolver = await FakeResolver.make();
    await using side = await DnsServe.make(silent.words);
    const reply = side.ask(query(1));
    await silent.wait(1);
    await side.setResolvers(resolver.words);
    assert.equal(rcode(await reply), 0);
  });

  it('is answered by us where it is malformed, or no question', async () => {
    await using resolver = await FakeResolver.make();
    await using side = await DnsServe.make(resolver.words);
    assert.equal(rcode(await side.ask(encodeDns({ counts: [1, 0, 0, 5] }))), 1);
    assert.equal(rcode(await side.ask(encodeDns({ type: 252 }))), 4);
    assert.equal(resolver.asked.length, 0);
  });

  it('has a socket of its own as long as there are few, and shares one then', async () => {
    let answers = false;
    await using resolver = await FakeResolver.make(({ query: asked, reply }) => {
      if (answers) reply(answerTo(asked));
    });
    await using side = await DnsServe.make(resolver.words);
    const replies: Promise<Buffer>[] = [];
    const asked = () => new Set(resolver.asked.map((each) => withoutId(each.query))).size;
    // In parts that fit the buffers of sockets.
    while (replies.length < 200) {
      for (let i = 0; i < 20; i++) replies.push(side.ask(query(replies.length, `host${replies.length}`)));
      await waitFor(() => asked() === replies.length, { what: `${replies.length} queries` });
    }
    const { descriptors } = await side.state();
    assert(descriptors > 120 && descriptors < 150, `${descriptors} descriptors`);
    answers = true;
    resolver.asked.forEach(({ query: each, reply }, i) => {
      setTimeout(() => reply(answerTo(each)), i);
    });
    assert((await Promise.all(replies)).every((reply) => rcode(reply) === 0));
    assert((await side.state()).descriptors < 16);
  });

  it('fails at once where too many are under way, equal ones or not', async () => {
    await using silent = await FakeResolver.make(mute);
    await using side = await DnsServe.make(silent.words);
    const notReady = numbers16(15, 2, 14);
    let refused = 0;
    const name = ['one', 'example'];
    const count = (reply: Buffer) => {
      if (reply.subarray(-6).equals(notReady)) refused++;
    };
    for (let id = 0; refused === 0; id++) {
      side.ask(encodeDns({ id, name, additionals: [edns()] })).then(count);
      if (id % 50 === 0) assert((await side.state()).outstanding <= 1024);
    }
    // The others are under way when all is destroyed.
  });
});

describe('a DNS query over TCP', () => {
  it('is asked over TCP, on a connection that is kept', async () => {
    await using resolver = await FakeResolver.make();
    await using side = await DnsServe.make(resolver.words);
    const long = encodeDns({ id: 9, additionals: [edns(1232, numbers16(12, 3000, ...Array<number>(1500).fill(0)))] });
    for (const sent of [query(1), query(2), long]) assert.deepEqual(await side.askTcp(sent), answerTo(sent));
    assert(resolver.asked.every(({ tcp }) => tcp));
    assert.equal(resolver.connections, 1);
  });

  it('is asked again where the resolver closes a connection that it has answered on', async () => {
    let count = 0;
    await using resolver = await FakeResolver.make(({ query: asked, reply, hangUp }) => {
      if (++count === 2) hangUp();
      else reply(answerTo(asked));
    });
    await using side = await DnsServe.make(resolver.words);
    for (const id of [1, 2, 3]) assert.equal(rcode(await side.askTcp(query(id))), 0);
    assert.equal(resolver.connections, 2);
    assert.equal(count, 4);
  });

  it('goes to the next resolver where one has no TCP, or hangs up', async () => {
    await using rude = await FakeResolver.make(({ hangUp }) => hangUp());
    await using resolver = await FakeResolver.make();
    await using side = await DnsServe.make(await refusing(), rude.words, resolver.words);
    assert.equal(rcode(await side.askTcp(query(1))), 0);
    await side.setResolvers(await refusing(), rude.words);
    assert.equal(rcode(await side.askTcp(query(2))), SERVFAIL);
  });

  it('is not joined with one over UDP, whose answer may be truncated', async () => {
    await using resolver = await FakeResolver.make(({ query: asked, tcp, reply }) =>
      reply(answerTo(asked, tcp ? 0x8180 : 0x8380)),
    );
    await using side = await DnsServe.make(resolver.words);
    const [udp, tcp] = await Promise.all([side.ask(query(1)), side.askTcp(query(1))]);
    assert.deepEqual([udp.readUInt16BE(2), tcp.readUInt16BE(2)], [0x8380, 0x8180]);
  });
});

/** The parser of DNS messages, and what is made of queries. */
import assert from 'node:assert/strict';
import { nativeTest } from '../../../support/native-test.js';
import {
  ANSWER,
  dnsSamples,
  edns,
  encodeDns,
  type Labels,
  labels,
  numbers16,
  types,
} from '../../../support/traffic/dns.js';

/** Calls a function of native/src/dns for each message. */
function callEach(name: string, messages: readonly Buffer[]): Promise<unknown[]> {
  return nativeTest(
    ['dns-message'],
    messages.map((message) => `${name} ${message.toString('hex')}`),
  );
}

async function call(name: string, message: Buffer): Promise<unknown> {
  return (await callEach(name, [message]))[0];
}

/** The message without its end, for each place where it may end from that one on. */
function cutShort(message: Buffer, from = 0): Buffer[] {
  return Array.from({ length: message.length - from }, (_, i) => message.subarray(0, from + i));
}

interface ReadRecords {
  records: { section: number; owner: string; type: number; class: number; ttl: number; data: string }[];
  complete: boolean;
}

const readRecords = async (message: Buffer) => (await call('records', message)) as ReadRecords;
const address = (last: number) => Buffer.from([192, 0, 2, last]);

/** How a name is read that is the owner of an answer; undefined where it is malformed. */
async function ownerOf(owner: Labels): Promise<string | undefined> {
  const answers = [{ owner, type: types.A, data: address(1) }];
  const { records } = await readRecords(encodeDns({ flags: ANSWER, name: ['one', 'example'], answers }));
  return records[0]?.owner;
}

describe('a DNS message', () => {
  it('has a question, whose name is compared in lower case and kept as it is spelled', async () => {
    const message = encodeDns({ name: ['wWw', 'ExamPLE'], type: types.AAAA });
    const spelled = message.subarray(12).toString('hex');
    assert.deepEqual(await call('question', message), { name: 'www.example', type: 28, class: 1, spelled });
    const { name } = (await call('question', encodeDns({ name: [] }))) as { name: string };
    assert.equal(name, '.');
  });

  it('has names in which no label can contain a dot, or what a terminal would act on', async () => {
    assert.equal(
      await ownerOf(['good.example', '\u001b[2J', 'a_b-c', '\\']),
      'good\\046example.\\027\\0912j.a_b-c.\\092',
    );
  });

  it('is malformed without exactly one question that is complete', async () => {
    const counts = [0, 2, 0xffff].map((questions) => encodeDns({ counts: [questions, 0, 0, 0] }));
    const results = await callEach('question', [...counts, ...cutShort(encodeDns({}))]);
    assert.deepEqual([...new Set(results)], [null]);
    assert.equal(await call('question', encodeDns({ name: ['one', 12] })), null);
  });

  it('may have names of up to 255 bytes, and of labels of up to 63', async () => {
    const long = [...Array<string>(3).fill('a'.repeat(63)), 'b'.repeat(61)];
    assert.equal(await ownerOf(long), long.join('.'));
    assert.equal(await ownerOf([...long.slice(0, 3), 'b'.repeat(62)]), undefined);
    // Together with what a pointer leads to.
    assert.equal(await ownerOf([...long.slice(0, 3), 'b'.repeat(50), 12]), undefined);
    assert.equal(
      await ownerOf([...long.slice(0, 3), 'b'.repeat(49), 12]),
      [...long.slice(0, 3), 'b'.repeat(49), 'one.example'].join('.'),
    );
    assert.equal(await ownerOf(['a'.repeat(64)]), undefined);
  });

  it('may have pointers in names that lead back, and no others', async () => {
    assert.equal(await ownerOf(['two', 12]), 'two.one.example');
    assert.equal(await ownerOf([16]), 'example');
    // The owner is at 29: itself, what follows, the header.
    for (const place of [29, 31, 200, 0, 11]) assert.equal(await ownerOf([place]), undefined, `${place}`);
    assert.equal(await ownerOf(['x', 29]), undefined);
    // A pointer to a pointer is fine.
    const answers = [
      { owner: [12], type: types.A, data: address(1) },
      { owner: ['deep', 29], type: types.A, data: address(2) },
    ];
    const { records } = await readRecords(encodeDns({ flags: ANSWER, answers }));
    assert.deepEqual(
      records.map(({ owner }) => owner),
      ['one.example', 'deep.one.example'],
    );
  });

  it('has records, until one is malformed', async () => {
    const message = encodeDns({
      flags: ANSWER,
      answers: [{ type: types.A, ttl: 300, data: address(1) }],
      authorities: [{ owner: ['example'], type: types.NS, ttl: 0x80000001, data: Buffer.from([0]) }],
      additionals: [edns(1400)],
    });
    const { records, complete } = await readRecords(message);
    assert(complete);
    assert.deepEqual(
      records.map(({ section, owner, type, class: recordClass, ttl }) => [section, owner, type, recordClass, ttl]),
      [
        [0, 'one.example', types.A, 1, 300],
        // That time counts as none.
        [1, 'example', types.NS, 1, 0],
        [2, '.', types.OPT, 1400, 0],
      ],
    );
    const results = (await callEach('records', cutShort(message, 29))) as ReadRecords[];
    assert(results.length > 40 && results.every((result) => !result.complete));
    assert.equal((await readRecords(encodeDns({ flags: ANSWER, counts: [1, 1, 0, 0] }))).complete, false);
  });

  it('is not read beyond limits, so that long names cannot be repeated without end', async () => {
    const name = Array<string>(100).fill('a');
    const answers = (count: number) => Array.from({ length: count }, () => ({ type: types.A, data: address(1) }));
    assert((await readRecords(encodeDns({ flags: ANSWER, answers: answers(700) }))).complete);
    assert(!(await readRecords(encodeDns({ flags: ANSWER, answers: answers(800) }))).complete);
    assert((await readRecords(encodeDns({ flags: ANSWER, name, answers: answers(30) }))).complete);
    assert(!(await readRecords(encodeDns({ flags: ANSWER, name, answers: answers(60) }))).complete);
  });
});

describe('a query', () => {
  const check = async (message: Buffer) => (await call('check', message)) as number satisfies number;
  const [FINE, MALFORMED, NOT_IMPLEMENTED] = [0, 1, 4];

  it('is fine as programs send it, with EDNS or without', async () => {
    for (const [description, message] of dnsSamples()) {
      assert.equal(await check(message), description.startsWith('query') ? FINE : MALFORMED, description);
    }
  });

  it('is malformed where it has answers, is one, or is not complete', async () => {
    const record = { type: types.A, data: address(1) };
    assert.equal(await check(encodeDns({ answers: [record] })), MALFORMED);
    assert.equal(await check(encodeDns({ authorities: [record] })), MALFORMED);
    assert.equal(await check(encodeDns({ flags: ANSWER })), MALFORMED);
    assert.equal(await check(encodeDns({ counts: [1, 0, 0, 1] })), MALFORMED);
    assert.equal(await check(encodeDns({ additionals: [edns(1232, Buffer.alloc(5000))] })), MALFORMED);
    assert.equal(await check(Buffer.alloc(5)), MALFORMED);
  });

  it('is not implemented where it is more than a question', async () => {
    // An update, and transfers of zones.
    assert.equal(await check(encodeDns({ flags: 0x2800 })), NOT_IMPLEMENTED);
    for (const type of [251, 252]) assert.equal(await check(encodeDns({ type })), NOT_IMPLEMENTED);
  });
});

describe('an error in reply to a query', () => {
  const reply = async (rcode: number, reason: number, query: Buffer) =>
    Buffer.from((await call(`error ${rcode} ${reason}`, query)) as string, 'hex');

  it('has its id and its question as it is spelled', async () => {
    const name = labels('mY.hOst');
    const query = encodeDns({ id: 0xbeef, flags: 0x0130, name });
    assert.deepEqual(await reply(5, 15, query), encodeDns({ id: 0xbeef, flags: 0x8195, name }));
    assert.deepEqual(await reply(3, -1, encodeDns({ flags: 0, name })), encodeDns({ flags: 0x8083, name }));
  });

  it('has a reason for those that can read it', async () => {
    const query = encodeDns({ additionals: [edns(4096, numbers16(10, 2, 0xabcd))] });
    const withReason = encodeDns({ flags: 0x8185, additionals: [edns(1232, numbers16(15, 2, 15))] });
    assert.deepEqual(await reply(5, 15, query), withReason);
    assert.deepEqual(await reply(2, -1, query), encodeDns({ flags: 0x8182, additionals: [edns()] }));
  });

  it('has no question where the query has none that can be read', async () => {
    const header = encodeDns({ counts: [3, 0, 0, 0] }).subarray(0, 20);
    assert.deepEqual(await reply(1, -1, header), numbers16(0x1234, 0x8181, 0, 0, 0, 0));
  });

  it('is sent neither for what has no header nor for an answer', async () => {
    assert.equal((await reply(1, -1, Buffer.alloc(11))).length, 0);
    assert.equal((await reply(1, -1, encodeDns({ flags: ANSWER }))).length, 0);
  });
});

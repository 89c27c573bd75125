/** What the DNS servers of container networks answer, without sockets; those are tested in test/integration/containers. */
import assert from 'node:assert/strict';
import { ORIGINS } from '../../../../protocol/dns/origins.js';
import { type ZoneContent, zoneText } from '../../../../protocol/dns/zone-text.js';
import { EngineSide } from '../../../support/stacks/engine-side.js';
import { dnsSamples, edns, encodeDns, labels, types } from '../../../support/traffic/dns.js';

const PTR = 12;
const redis = { names: ['Redis', 'cache'], addresses: ['10.4.0.2', 'fd00:4::2'] };
const ADDRESSES = { '0a040002': '10.4.0.2', '0a040003': '10.4.0.3' } as const;

interface Reply {
  rcode: number;
  flags: number;
  answers: number;
  /** All of it in hexadecimal. */
  hex: string;
  from: string;
}

describe('the DNS server of a container network', () => {
  let side: EngineSide;
  let asked = 0;
  beforeEach(() => {
    side = new EngineSide();
    asked = 0;
  });
  afterEach(() => side[Symbol.dispose]());

  function serve(id: number, content: Partial<ZoneContent>): void {
    const usual = {
      network: 'back',
      outside: false,
      subnets: ['10.4.0.0/24', 'fd00:4::/64'],
      search: [],
      entries: [],
      exact: [],
    };
    assert.equal(side.engine.openNameServer(id, [], 53, zoneText({ ...usual, ...content })), '');
  }

  async function send(query: Buffer, { client = '10.4.0.9', network = 1 } = {}): Promise<Reply> {
    side.engine.askName(++asked, network, query, client);
    const { data, from } = await side.wait('dns-answer', asked);
    const flags = data.length < 12 ? 0 : data.readUInt16BE(2);
    const answers = data.length < 12 ? 0 : data.readUInt16BE(6);
    return { flags, rcode: flags & 0xf, answers, hex: data.toString('hex'), from: ORIGINS[from] ?? '' };
  }
  const ask = (name: string, type: number = types.A, options = {}) =>
    send(encodeDns({ name: labels(name), type }), options);

  it('knows a name alone, with the network, and with the domain, in any case of letters', async () => {
    serve(1, { entries: [redis] });
    for (const name of ['redis', 'CACHE', 'redis.back', 'redis.rootless.internal', 'Redis.Back.Rootless.Internal']) {
      const { rcode, answers, hex, from } = await ask(name);
      assert.deepEqual([name, rcode, answers, from], [name, 0, 1, 'own']);
      // Spelled as it was asked, 5 seconds, the address.
      assert.ok(hex.includes(Buffer.from(labels(name)[0] ?? '').toString('hex')));
      assert.ok(hex.endsWith('c00c00010001000000050004' + '0a040002'));
    }
  });

  it('answers without records for a type that a name does not have', async () => {
    serve(1, { entries: [{ ...redis, addresses: ['10.4.0.2'] }] });
    for (const type of [types.AAAA, types.HTTPS, 33, 16]) {
      const { rcode, answers, from } = await ask('redis', type);
      assert.deepEqual([rcode, answers, from], [0, 0, 'own']);
    }
    const domain = await ask('rootless.internal');
    assert.deepEqual([domain.rcode, domain.answers], [0, 0]);
  });

  it('has all holders of a name, in changing order', async () => {
    const other = { names: ['redis2', 'cache'], addresses: ['10.4.0.3'] };
    serve(1, { entries: [redis, other] });
    const first = new Set<string>();
    for (let i = 0; i < 60; i++) {
      const { answers, hex } = await ask('cache');
      assert.equal(answers, 2);
      first.add(Object.keys(ADDRESSES).toSorted((a, b) => hex.indexOf(a) - hex.indexOf(b))[0] ?? '');
    }
    assert.equal(first.size, 2);
  });

  it('knows the names of addresses of its subnets, and asks nobody else for those', async () => {
    serve(1, { entries: [redis], outside: true });
    const named = await ask('2.0.4.10.in-addr.arpa', PTR);
    assert.deepEqual([named.rcode, named.answers], [0, 1]);
    assert.ok(
      named.hex.endsWith(`05${Buffer.from('redis').toString('hex')}04${Buffer.from('back').toString('hex')}00`),
    );
    const six = `2.${'0.'.repeat(15)}${'0.'.repeat(8)}4.0.0.0.0.0.d.f.ip6.arpa`;
    assert.equal((await ask(six, PTR)).answers, 1);
    assert.deepEqual(await ask('77.0.4.10.in-addr.arpa', PTR).then(({ rcode, from }) => [rcode, from]), [3, 'missing']);
  });

  it('keeps names to itself that are in its domain, or of what does not run', async () => {
    serve(1, { entries: [{ names: ['stopped'], addresses: [] }], outside: true });
    for (const name of ['nothing.rootless.internal', 'stopped', 'stopped.back']) {
      const { rcode, from } = await ask(name);
      assert.deepEqual([name, rcode, from], [name, 3, 'missing']);
    }
  });

  it('has its names with a domain that programs append', async () => {
    serve(1, { entries: [redis], search: ['corp.test', 'a.b'] });
    for (const name of ['redis.corp.test', 'redis.back.a.b']) assert.equal((await ask(name)).answers, 1);
    assert.equal((await ask('web.corp.test')).from, 'internal');
  });

  it('has no other names on an internal network', async () => {
    serve(1, { entries: [redis] });
    assert.deepEqual(await ask('example.test').then(({ rcode, from }) => [rcode, from]), [3, 'internal']);
  });

  it('answers a container by all of its networks, and refuses those of other networks', async () => {
    serve(1, { entries: [redis] });
    const front = { network: 'front', subnets: ['10.5.0.0/24'] };
    serve(2, { ...front, entries: [{ names: ['web'], addresses: ['10.5.0.2'] }] });
    side.engine.setNameClient('10.4.0.3', [1, 2], false, [], '');
    assert.equal((await ask('web', types.A, { client: '10.4.0.3' })).answers, 1);
    assert.equal((await ask('web', types.A, { client: '10.4.0.9' })).answers, 0);
    assert.equal((await ask('web', types.A, { client: '10.4.0.9', network: 2 })).from, 'refused');
    side.engine.removeNameClient('10.4.0.3');
    assert.equal((await ask('web', types.A, { client: '10.4.0.3' })).answers, 0);
  });

  it('has names in the domain only, where there are no others, and what they are below', async () => {
    const domain = [
      { names: ['shop'], addresses: ['10.4.0.1'] },
      { names: ['redis'], addresses: ['10.4.0.1'] },
      { names: ['a.b.c'], addresses: ['10.4.0.1'] },
    ];
    serve(1, { entries: [redis], domain });
    const last = async (name: string) => (await ask(name)).hex.slice(-8);
    assert.equal(await last('shop.rootless.internal'), '0a040001');
    assert.equal(await last('redis.rootless.internal'), '0a040002');
    assert.equal((await ask('shop')).from, 'internal');
    for (const name of ['b.c', 'c', 'back']) {
      assert.deepEqual(await ask(`${name}.rootless.internal`).then(({ rcode, answers }) => [rcode, answers]), [0, 0]);
    }
    assert.equal((await ask('x.c.rootless.internal')).rcode, 3);
  });

  it('refuses other names where it is to', async () => {
    const reverse = [{ address: '10.4.0.2', name: 'redis.back.rootless.internal' }];
    serve(1, { outside: 'never', domain: [{ names: ['redis'], addresses: ['10.4.0.2'] }], reverse });
    const from = async (name: string, type?: number) => (await ask(name, type, { client: '127.0.0.1' })).from;
    assert.equal(await from('redis.rootless.internal'), 'own');
    assert.equal(await from('2.0.4.10.in-addr.arpa', PTR), 'own');
    assert.equal(await from('3.0.4.10.in-addr.arpa', PTR), 'missing');
    assert.equal(await from('nothing.rootless.internal'), 'missing');
    for (const name of ['redis', 'example.test', '2.2.0.192.in-addr.arpa', 'localhost', 'internal']) {
      assert.equal((await ask(name, types.A, { client: '127.0.0.1' })).rcode, 5, name);
    }
  });

  it('reports queries while that is wanted, 200 a second at most', async () => {
    serve(1, { entries: [redis] });
    await ask('redis');
    side.engine.watchQueries(true);
    await ask('Redis', types.AAAA);
    const { type: _, ms: __, ...query } = await side.wait('dns-query');
    assert.deepEqual(query, { network: 1, client: '10.4.0.9', name: 'redis', record: 28, from: 0, missed: 0 });
    await Promise.all(Array.from({ length: 1000 }, () => ask('redis')));
    const reported = side.of('dns-query').length;
    assert.ok(reported >= 200 && reported < 1001, `${reported}`);
    side.engine.watchQueries(false);
    await ask('redis');
    await ask('redis');
    assert.equal(side.of('dns-query').length, reported);
  });

  it('repeats EDNS, in the version that there is', async () => {
    serve(1, { entries: [redis] });
    const query = (version: number) => encodeDns({ name: ['redis'], additionals: [{ ...edns(), ttl: version << 16 }] });
    const { hex, answers } = await send(query(0));
    assert.equal(answers, 1);
    assert.ok(hex.endsWith('00002904d0000000000000'));
    const other = await send(query(1));
    assert.equal(other.answers, 0);
    assert.ok(other.hex.endsWith('00002904d0010000000000'));
  });

  it('answers what is malformed with an error, or not at all', async () => {
    serve(1, { entries: [redis] });
    const question = encodeDns({ name: ['redis'] });
    assert.equal((await send(encodeDns({ name: ['redis'], counts: [2, 0, 0, 0] }))).rcode, 1);
    assert.equal((await send(encodeDns({ name: ['redis', 12] }))).rcode, 1);
    assert.equal((await send(question.subarray(0, -1))).rcode, 1);
    assert.equal((await send(encodeDns({ name: ['redis'], flags: 0x2800 }))).rcode, 4);
    assert.equal((await send(encodeDns({ name: ['redis'], flags: 0x8180 }))).hex, '');
    assert.equal((await send(Buffer.from('00'))).hex, '');
    for (const sample of dnsSamples().values()) await send(sample);
  });

  it('takes names as text, without those that would be something else in it', async () => {
    const odd = ['a b', 'c\nexact evil.test 192.0.2.1', '.d', '', `${'x'.repeat(64)}`, 'ok_1'];
    serve(1, { entries: [{ names: odd, addresses: ['10.4.0.7'] }] });
    assert.equal((await ask('ok_1')).answers, 1);
    assert.equal((await ask('evil.test')).answers, 0);
  });
});

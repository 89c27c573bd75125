/** What answers say about addresses, and the removal of keys from them. */
import assert from 'node:assert/strict';
import { nativeTest } from '../../../support/native-test.js';
import {
  ANSWER,
  dnsSamples,
  encodeDns,
  encodeName,
  labels,
  numbers16,
  serviceData,
  types,
} from '../../../support/traffic/dns.js';

interface Found {
  addresses: string[];
  names: string[];
  ttl: number;
}

async function call<T>(name: string, message: Buffer): Promise<T> {
  const [result] = await nativeTest<T>(['dns-message'], [`${name} ${message.toString('hex')}`]);
  return result as T;
}

const find = (message: Buffer) => call<Found | null>('addresses', message);
const address = (last: number) => Buffer.from([192, 0, 2, last]);
const a = (owner: string, last: number, ttl = 60) => ({
  owner: labels(owner),
  type: types.A,
  ttl,
  data: address(last),
});
const cname = (owner: string, to: string, ttl = 60) => ({
  owner: labels(owner),
  type: types.CNAME,
  ttl,
  data: encodeName(labels(to)),
});
const sample = (description: string) => {
  const message = dnsSamples().get(description);
  assert(message, description);
  return message;
};

describe('addresses in an answer', () => {
  it('are those of the asked name, with the least time to live', async () => {
    const answers = [a('one.example', 1, 300), a('ONE.example', 2, 30), a('two.example', 3, 1)];
    const message = encodeDns({ flags: ANSWER, name: labels('One.Example'), answers });
    assert.deepEqual(await find(message), { addresses: ['192.0.2.1', '192.0.2.2'], names: [], ttl: 30 });
    assert.deepEqual(await find(encodeDns({ flags: ANSWER + 3 })), { addresses: [], names: [], ttl: 0 });
  });

  it('are those of the name that its aliases lead to, in any order', async () => {
    const answers = [
      cname('one.example', 'two.example', 20),
      cname('two.example', 'three.example'),
      a('three.example', 3),
    ];
    const found = { addresses: ['192.0.2.3'], names: ['two.example', 'three.example'], ttl: 20 };
    for (const order of [answers, [...answers].reverse()]) {
      assert.deepEqual(await find(encodeDns({ flags: ANSWER, answers: order })), found);
    }
    // Not those of names on the way, which have no addresses, nor of names that lead here.
    const others = [...answers, a('two.example', 66), cname('evil.example', 'three.example'), a('evil.example', 67)];
    assert.deepEqual(await find(encodeDns({ flags: ANSWER, answers: others })), found);
  });

  it('are none where aliases run in a circle', async () => {
    const answers = [cname('one.example', 'two.example'), cname('two.example', 'one.example')];
    const found = await find(encodeDns({ flags: ANSWER, answers }));
    assert.deepEqual(found?.addresses, []);
    const endless = Array.from({ length: 17 }, (_, i) => cname(`n${i}.example`, `n${i + 1}.example`));
    assert.equal(await find(encodeDns({ flags: ANSWER, name: labels('n0.example'), answers: endless })), null);
  });

  it('are not those of other sections and classes', async () => {
    const answers = [{ ...a('one.example', 1), class: 3 }];
    const additionals = [a('one.example', 2)];
    const found = await find(encodeDns({ flags: ANSWER, answers, authorities: additionals, additionals }));
    assert.deepEqual(found?.addresses, []);
  });

  it('are also hints of HTTPS records, whose other servers are named', async () => {
    assert.deepEqual(await find(sample('answer HTTPS, ech between hints')), {
      addresses: ['192.0.2.44', '192.0.2.45', '2001:db8::44'],
      names: [],
      ttl: 300,
    });
    assert.deepEqual(await find(sample('answer HTTPS, alias')), {
      addresses: [],
      names: ['pool.svc.example'],
      ttl: 50,
    });
  });

  it('are not read from a query, nor from what is malformed', async () => {
    assert.equal(await find(encodeDns({})), null);
    const bad = [
      { type: types.A, data: Buffer.alloc(5) },
      { type: types.AAAA, data: address(1) },
      { type: types.CNAME, data: Buffer.concat([encodeName(['x']), Buffer.alloc(1)]) },
      { type: types.CNAME, data: Buffer.from([5, 1]) },
      { type: types.HTTPS, data: numbers16(1) },
      { type: types.HTTPS, data: serviceData(1, [], [[4, Buffer.alloc(6)]]) },
      {
        type: types.HTTPS,
        data: serviceData(
          1,
          [],
          [
            [4, address(1)],
            [1, Buffer.alloc(0)],
          ],
        ),
      },
    ];
    for (const record of bad) {
      const answers = [a('one.example', 1), record];
      assert.equal(await find(encodeDns({ flags: ANSWER, answers })), null, record.data.toString('hex'));
    }
  });
});

describe('the keys of encrypted ClientHello', () => {
  const remove = async (message: Buffer) => {
    const result = await call<string>('ech', message);
    return /^[0-9a-f]+$/.test(result) ? Buffer.from(result, 'hex') : result;
  };
  const key = Buffer.alloc(70, 7);
  const https = (...params: (readonly [number, Buffer])[]) => ({ type: types.HTTPS, data: serviceData(1, [], params) });
  const message = (...records: ReturnType<typeof https>[]) =>
    encodeDns({ flags: ANSWER, name: labels('one.example'), type: types.HTTPS, answers: records });

  it('are removed, and nothing else', async () => {
    const [alpn, hint] = [[1, Buffer.from('\x02h2')] as const, [6, Buffer.alloc(16, 1)] as const];
    assert.deepEqual(await remove(message(https(alpn, [5, key], hint))), message(https(alpn, hint)));
    assert.deepEqual(
      await remove(message(https([5, key]), https(alpn, [5, Buffer.alloc(0)]))),
      message(https(), https(alpn)),
    );
  });

  it('are removed from the list of what clients have to know', async () => {
    const alpn = [1, Buffer.from('\x02h2')] as const;
    assert.deepEqual(
      await remove(message(https([0, numbers16(1, 5)], alpn, [5, key]))),
      message(https([0, numbers16(1)], alpn)),
    );
    assert.deepEqual(await remove(message(https([0, numbers16(5)], alpn, [5, key]))), message(https(alpn)));
  });

  it('leave names behind them as they were', async () => {
    const before = sample('answer HTTPS twice, ech mandatory, names behind it');
    const after = await remove(before);
    assert(Buffer.isBuffer(after));
    interface Read {
      complete: boolean;
      records: { owner: string; type: number; data: string }[];
    }
    const [old, now] = [await call<Read>('records', before), await call<Read>('records', after)];
    assert(now.complete);
    const owners = ({ records }: Read) => records.map(({ owner, type }) => [owner, type]);
    assert.deepEqual(owners(now), owners(old));
    // The name servers are named in the data, with pointers that had to move, and are owners behind it.
    const servers = old.records.filter(({ type }) => type === types.A || type === types.AAAA).map(({ owner }) => owner);
    assert.deepEqual(servers, ['ns1.operator.example', 'ns2.operator.example']);
    assert.equal(await remove(after), 'none');
  });

  it('are not looked for where there are none', async () => {
    for (const [description, known] of dnsSamples()) {
      if (!description.includes('ech')) assert.equal(await remove(known), 'none', description);
    }
    assert.equal(await remove(sample('answer SVCB without ech')), 'none');
  });

  it('keep an answer from being passed on that cannot be read', async () => {
    const twice = message(https([5, key], [5, key]));
    assert.equal(await remove(twice), 'malformed');
    assert.equal(await remove(twice.subarray(0, -1)), 'malformed');
    // An owner's name within what would be removed.
    const inside = encodeDns({ flags: ANSWER, answers: [https([5, key]), { ...https(), owner: [60] } as never] });
    assert.equal(await remove(inside), 'malformed');
  });
});

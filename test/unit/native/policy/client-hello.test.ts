import assert from 'node:assert/strict';
import { extension, helloMessage, helloOfNode, helloOfProgram, number, records, serverName, vector } from './hello.js';
import { peek } from './peek.js';

const GREASE = 0x2a2a;
const ENCRYPTED_CLIENT_HELLO = 0xfe0d;

/** The name, whatever the pieces that the bytes come in; undefined if it is none. */
async function nameIn(bytes: Buffer): Promise<string | undefined> {
  const found = await peek(...[1, 7, 1400, bytes.length].map((step) => ({ bytes, step })));
  const [{ kind, name } = assert.fail()] = found;
  for (const other of found) assert.deepEqual([other.kind, other.name, other.more], [kind, name, false]);
  assert(kind === 'tls' || kind === 'other', kind);
  return kind === 'tls' ? name : undefined;
}

describe('the name in a ClientHello', () => {
  it("is found in that of Node's TLS, of each version", async () => {
    assert.equal(await nameIn(await helloOfNode({ servername: 'registry.npmjs.org' })), 'registry.npmjs.org');
    const old = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const;
    assert.equal(await nameIn(await helloOfNode({ servername: 'a.example', ...old })), 'a.example');
    const alpn = { ALPNProtocols: ['h2', 'http/1.1'] };
    assert.equal(await nameIn(await helloOfNode({ servername: 'b.example', ...alpn })), 'b.example');
    assert.equal(await nameIn(await helloOfNode({})), '');
  });

  it('is found in those of openssl and curl', async () => {
    const openssl = (...options: string[]) =>
      helloOfProgram('openssl', 's_client', '-connect', '127.0.0.1:PORT', ...options);
    assert.equal(await nameIn(await openssl('-servername', 'c.example')), 'c.example');
    assert.equal(await nameIn(await openssl('-noservername')), '');
    assert.equal(await nameIn(await openssl('-tls1_2', '-servername', 'D.Example')), 'd.example');
    const resolve = ['--resolve', 'e.example:PORT:127.0.0.1'];
    assert.equal(await nameIn(await helloOfProgram('curl', '-sk', ...resolve, 'https://e.example:PORT/')), 'e.example');
  });

  it('is found across records, and behind extensions of any kind', async () => {
    const shares = extension(51, vector(2, number(0x11ec, 2), vector(2, Buffer.alloc(1216, 1))));
    const message = helloMessage([
      extension(GREASE, ''),
      shares,
      serverName('www.example.com'),
      extension(GREASE, 'x'),
    ]);
    for (const size of [1, 3, 512, 16384]) assert.equal(await nameIn(records(message, size)), 'www.example.com');
  });

  it('is not waited for longer than the message', async () => {
    const bytes = records(helloMessage([serverName('www.example.com')]));
    const [cut] = await peek({ bytes: bytes.subarray(0, -1), step: bytes.length });
    assert.equal(cut?.more, true);
    const behind = Buffer.concat([bytes, Buffer.from([23, 3, 3, 0, 1, 0])]);
    assert.equal(await nameIn(behind), 'www.example.com');
    const [whole] = await peek({ bytes: behind, step: 1 });
    assert.equal(whole?.consumed, bytes.length);
  });

  it('is empty where there is none', async () => {
    assert.equal(await nameIn(records(helloMessage())), '');
    assert.equal(await nameIn(records(helloMessage([]))), '');
    assert.equal(await nameIn(records(helloMessage([extension(GREASE, '')]))), '');
  });

  it('is that of the outer message with Encrypted ClientHello, which is reported', async () => {
    const outer = extension(ENCRYPTED_CLIENT_HELLO, Buffer.concat([Buffer.from([0]), Buffer.alloc(200, 9)]));
    const found = await peek(
      { bytes: records(helloMessage([serverName('front.example'), outer])), step: 1400 },
      { bytes: records(helloMessage([serverName('front.example')])), step: 1400 },
    );
    assert.deepEqual(
      found.map(({ kind, name, encryptedHello }) => [kind, name, encryptedHello]),
      [
        ['tls', 'front.example', true],
        ['tls', 'front.example', false],
      ],
    );
  });

  it('is compared in lower case, and without the final dot', async () => {
    assert.equal(await nameIn(records(helloMessage([serverName('WWW.Example.COM.')]))), 'www.example.com');
  });
});

describe('what is not a ClientHello', () => {
  const message = helloMessage([serverName('www.example.com')]);
  const good = records(message);
  const changed = (at: number, value: number, bytes = good) => {
    const copy = Buffer.from(bytes);
    copy[at] = value;
    return copy;
  };
  const cases: Record<string, Buffer> = {
    'another record': changed(0, 21),
    'another version': changed(1, 2),
    'an empty record': Buffer.from([22, 3, 1, 0, 0]),
    'a record that is too long': Buffer.from([22, 3, 1, 0x40, 1, 1]),
    'another message': changed(5, 2),
    'a message that is too long': records(Buffer.from([1, 0, 0x41, 0])),
    'a record of another type in between': Buffer.concat([records(message.subarray(0, 20)), changed(0, 20)]),
    'SSL 2': Buffer.from('802e0100020015000000100100800200800300800400800500800600400700c0', 'hex'),
    'two names': records(helloMessage([serverName('a.example', 'b.example')])),
    'two extensions with names': records(helloMessage([serverName('a.example'), serverName('a.example')])),
    'an empty list of names': records(helloMessage([extension(0, vector(2))])),
    'a name of another type': records(
      helloMessage([extension(0, vector(2, Buffer.from([1]), vector(2, 'a.example')))]),
    ),
    'a name with a NUL': records(helloMessage([serverName('a.example\0.b.example')])),
    'a name with a blank': records(helloMessage([serverName('a.example ')])),
    'an address': records(helloMessage([serverName('192.0.2.1')])),
    'a name that is too long': records(helloMessage([serverName(`${'a.'.repeat(126)}aa`)])),
    'an empty name': records(helloMessage([serverName('')])),
    'bytes behind the extensions': records(Buffer.concat([Buffer.from([1]), vector(3, message.subarray(4), 'x')])),
    'an extension that is cut': records(
      Buffer.concat([Buffer.from([1]), vector(3, helloMessage().subarray(4), vector(2, number(0, 2), number(9, 2)))]),
    ),
  };

  for (const [what, bytes] of Object.entries(cases)) {
    it(`is refused: ${what}`, async () => {
      assert.equal(await nameIn(bytes), undefined);
    });
  }

  it('is refused after 16 KiB', async () => {
    // Records of one byte: six times as many bytes as the message has.
    const long = records(helloMessage([extension(GREASE, Buffer.alloc(3000)), serverName('a.example')]), 1);
    const [peeked] = await peek({ bytes: long, step: 1 });
    assert.deepEqual([peeked?.kind, peeked?.more, peeked?.consumed], ['other', false, 16384]);
    assert.equal(await nameIn(records(helloMessage([extension(GREASE, Buffer.alloc(3000))]))), '');
  });
});

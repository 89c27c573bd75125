import assert from 'node:assert/strict';
import { peek } from './peek.js';

/** What is found, whatever the pieces that the bytes come in. */
async function found(text: string): Promise<string> {
  const bytes = Buffer.from(text, 'latin1');
  const all = await peek(...[1, 5, bytes.length].map((step) => ({ bytes, step })));
  const results = all.map(({ kind, name, more }) => (more ? 'more' : kind === 'http' ? name : kind));
  assert.equal(new Set(results).size, 1, results.join());
  return results[0] ?? '';
}

const lines = (...all: string[]) => `${all.join('\r\n')}\r\n\r\n`;

describe('the host in the head of a request', () => {
  it('is that of the field Host, without port, in lower case', async () => {
    assert.equal(
      await found(lines('GET / HTTP/1.1', 'Accept: */*', 'Host: www.example.com', 'X: y')),
      'www.example.com',
    );
    assert.equal(await found(lines('POST /a?b HTTP/1.1', 'hOsT:\tWWW.Example.COM.:8080 ')), 'www.example.com');
    assert.equal(await found(lines('OPTIONS * HTTP/1.1', 'host:a.example')), 'a.example');
    assert.equal(await found(lines('PROPFIND / HTTP/1.0', 'Host: a.example:')), 'a.example');
    assert.equal(await found(lines(`${'A'.repeat(100)} / HTTP/1.1`, 'Host: a.example')), 'a.example');
  });

  it('is that of a target in absolute form, which the field may repeat only', async () => {
    assert.equal(await found(lines('GET http://a.example:80/x HTTP/1.1', 'Host: a.example')), 'a.example');
    assert.equal(await found(lines('GET HTTP://A.example?x HTTP/1.1')), 'a.example');
    assert.equal(await found(lines('GET http://a.example/ HTTP/1.1', 'Host: b.example')), 'other');
    assert.equal(await found(lines('GET http://a.example/ HTTP/1.1', 'Host: 192.0.2.1')), 'other');
  });

  it('is empty where there is none, or an address', async () => {
    assert.equal(await found(lines('GET / HTTP/1.0')), '');
    assert.equal(await found(lines('GET / HTTP/1.1', 'Host: 192.0.2.1')), '');
    assert.equal(await found(lines('GET / HTTP/1.1', 'Host: [2001:db8::1]:8080')), '');
  });

  it('is waited for until the end of the head', async () => {
    const head = lines('GET / HTTP/1.1', 'Host: a.example');
    assert.equal(await found(head.slice(0, -1)), 'more');
    assert.equal(await found(head.slice(0, -2)), 'more');
    assert.equal(await found(`${head}GET / HTTP/1.1\r\n`), 'a.example');
  });

  it('is not there with HTTP/2, which is recognized', async () => {
    assert.equal(await found('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), 'http2');
    assert.equal(await found('PRI * HTTP/2.0\r\nHost: a.example\r\n\r\n'), 'other');
  });
});

describe('an invalid request, or one that servers read differently', () => {
  const get = 'GET / HTTP/1.1';
  const cases: Record<string, string> = {
    'two hosts': lines(get, 'Host: a.example', 'Host: a.example'),
    'two hosts in one field': lines(get, 'Host: a.example, b.example'),
    'an empty host': lines(get, 'Host:'),
    'a host with a user': lines(get, 'Host: user@a.example'),
    'a host with a path': lines(get, 'Host: a.example/b'),
    'a host with a port that is none': lines(get, 'Host: a.example:http'),
    'a host with a NUL': lines(get, 'Host: a.example\0.b.example'),
    'a target with a user': lines('GET http://a.example@b.example/ HTTP/1.1'),
    'a line that ends with LF alone': lines(get, 'X: y\nHost: a.example'),
    'a request line that ends with LF alone': lines(`${get}\nHost: a.example`),
    'a CR alone': lines(get, 'X: y\rHost: a.example'),
    'a folded line': lines(get, 'X: y', ' Host: a.example'),
    'a blank before the colon': lines(get, 'Host : a.example'),
    'a field without colon': lines(get, 'Host'),
    'an empty line in front': `\r\n${lines(get, 'Host: a.example')}`,
    'two blanks in the request line': lines('GET  / HTTP/1.1', 'Host: a.example'),
    'a request line without version': lines('GET /', 'Host: a.example'),
    'another version': lines('GET / HTTP/1.2', 'Host: a.example'),
    'another scheme': lines('GET ftp://a.example/ HTTP/1.1', 'Host: a.example'),
    'a request to a proxy': lines('CONNECT a.example:443 HTTP/1.1', 'Host: a.example'),
    'another protocol': 'SSH-2.0-OpenSSH_9.2 Debian\r\n',
    'binary data': '\0\0\0\x10',
    'a method that does not end': 'A'.repeat(8192),
  };

  for (const [what, text] of Object.entries(cases)) {
    it(`is refused: ${what}`, async () => {
      assert.equal(await found(text), 'other');
    });
  }

  it('is refused after 8 KiB', async () => {
    const head = (length: number) => lines(get, `X: ${'y'.repeat(length)}`, 'Host: a.example');
    assert.equal(await found(head(8000)), 'a.example');
    assert.equal(await found(head(8192)), 'other');
  });
});

describe('what some servers take for a request', () => {
  const field = 'Host: a.example';
  const cases: Record<string, string> = {
    'after empty lines': `\r\n\n${lines('GET / HTTP/1.1', field)}`,
    'after CRs': `\r\r${lines('GET / HTTP/1.1', field)}`,
    'after blanks': ` \t${lines('GET / HTTP/1.1', field)}`,
    'with tabs': lines('GET\t/\tHTTP/1.1', field),
    'with other blanks': lines('GET\v/\fHTTP/1.1', field),
    'in lower case': lines('get / http/1.1', field),
    'with a long path': lines(`GET /${'a'.repeat(9000)} HTTP/1.1`, field),
  };

  for (const [how, text] of Object.entries(cases)) {
    it(`has begun as one: ${how}`, async () => {
      const bytes = Buffer.from(text, 'latin1');
      const all = await peek(...[1, 3, bytes.length].map((step) => ({ bytes, step })));
      assert.deepEqual(
        all.map(({ kind, begun }) => ({ kind, begun })),
        all.map(() => ({ kind: 'other', begun: true })),
      );
    });
  }

  it('has not where another protocol begins', async () => {
    const others = ['SSH-2.0-OpenSSH_9.2\r\n', '\0\0\0\x10', '\r\n\x01', '*1\r\n$4\r\nPING\r\n', 'QUIT\r\n'];
    const all = await peek(...others.map((text) => ({ bytes: Buffer.from(text, 'latin1'), step: 1 })));
    assert.deepEqual(new Set(all.map(({ begun }) => begun)), new Set([false]));
  });
});

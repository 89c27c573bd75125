import assert from 'node:assert/strict';
import { formatHostAddress, parseHostAddress } from '../../../protocol/net/host-address.js';

describe('addresses of the host', () => {
  it('have a port, and 127.0.0.1 and tcp unless they say otherwise', () => {
    for (const [text, full] of [
      ['8080', '127.0.0.1:8080/tcp'],
      ['localhost:53/udp', '127.0.0.1:53/udp'],
      ['127.0.0.2:8080/TCP', '127.0.0.2:8080/tcp'],
      ['[::1]:443', '[::1]:443/tcp'],
      ['[::ffff:10.0.0.1]:1', '10.0.0.1:1/tcp'],
      ['0.0.0.0:65535', '0.0.0.0:65535/tcp'],
      ['http://127.0.0.2:8080/a/b?c=d:1', '127.0.0.2:8080/tcp'],
      ['https://[::1]', '[::1]:443/tcp'],
      ['HTTP://localhost/', '127.0.0.1:80/tcp'],
    ] as const) {
      const address = parseHostAddress(text);
      assert.equal(formatHostAddress(address), full);
      assert.deepEqual(parseHostAddress(full), address);
    }
  });

  it('are refused by what is wrong with them', () => {
    const invalid = [
      '',
      ':',
      'example.org:80',
      '127.0.0.1',
      '1:2:3',
      '127.0.0.1:0',
      '1.2.3.4:80/sctp',
      '80-81',
      '[::1',
      'http://',
      'http://example.org/',
      'ftp://127.0.0.1:21/',
    ];
    for (const text of [...invalid, '127.0.0.1:65536', '80/', '127.1:80', '224.0.0.1:80', '[fe80::1]:80', '1e3']) {
      assert.throws(
        () => parseHostAddress(text),
        { code: 'invalid-address', message: /^invalid address ".*": .*; expected/ },
        text,
      );
    }
  });
});

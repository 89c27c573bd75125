import assert from 'node:assert/strict';
import {
  formatAutoPublish,
  isAutoPublish,
  parseAutoPublish,
  parseListeners,
  urlOf,
} from '../../../../protocol/ports/auto.js';

describe('ports that are published automatically', () => {
  it('are written with an address, ports and a protocol, in any combination', () => {
    const texts = ['auto', '127.0.0.7:auto', 'auto:3000-9999', '[::1]:auto:80/tcp', 'auto/udp', '0.0.0.0:auto:53/udp'];
    for (const text of texts) {
      assert.ok(isAutoPublish(text), text);
      assert.equal(formatAutoPublish(parseAutoPublish(text)), text);
    }
    assert.deepEqual(parseAutoPublish(' 127.0.0.7 : AUTO : 80 / TCP '), {
      ip: '127.0.0.7',
      transport: 'tcp',
      ports: { first: 80, last: 80 },
    });
  });

  it('are not taken for other ports, nor other ports for them', () => {
    for (const text of ['80:80', 'automatic', '8080:auto80', '[fd00::a]:80:80', ''])
      assert.ok(!isAutoPublish(text), text);
  });

  it('are refused in one line where something is wrong', () => {
    const rows: [text: string, problem: RegExp][] = [
      ['localhost:auto', /address "localhost" is not an IP address/],
      ['127.0.0.1:80:auto', /only an address may be before auto/],
      ['auto:80:90', /too many colons/],
      ['auto:0', /port 0 is not between 1 and 65535/],
      ['auto:9-3', /are reversed/],
      ['auto:65536', /larger than 65535/],
      ['auto:', /no port/],
      ['auto/sctp', /invalid protocol "sctp"/],
      ['224.0.0.1:auto', /multicast/],
    ];
    for (const [text, problem] of rows) {
      assert.throws(() => parseAutoPublish(text), { name: 'PortMappingError', message: problem }, text);
      assert.throws(() => parseAutoPublish(text), { message: /^[^\n]*expected \[ip:\]auto[^\n]*$/ });
    }
  });

  it('are reported by a list of at most 256 that is valid', () => {
    const one = { transport: 'tcp', ip: '', port: 80, inode: 7 };
    assert.deepEqual(parseListeners([one]), [one]);
    const wrong: unknown[] = [
      undefined,
      'x',
      [null],
      [{ ...one, transport: 'sctp' }],
      [{ ...one, ip: 'here' }],
      [{ ...one, port: 0 }],
      [{ ...one, port: 65_536 }],
      [{ ...one, port: '80' }],
      [{ ...one, inode: -1 }],
      Array.from({ length: 257 }, () => one),
    ];
    for (const value of wrong) assert.equal(parseListeners(value), undefined, JSON.stringify(value)?.slice(0, 80));
  });

  it('have URLs', () => {
    const url = (ip: string, port: number) => urlOf({ ip, port });
    assert.equal(url('127.0.0.7', 80), 'http://127.0.0.7/');
    assert.equal(url('127.0.0.7', 3000), 'http://127.0.0.7:3000/');
    assert.equal(url('::1', 443), 'https://[::1]/');
    assert.equal(url('', 8443), 'https://localhost:8443/');
  });
});

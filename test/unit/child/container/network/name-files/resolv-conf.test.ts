import assert from 'node:assert/strict';
import {
  type ContainerResolvConfOptions,
  containerResolvConf,
  hostResolvConf,
  parseResolvConf,
  ResolvConfError,
} from '../../../../../../child/container/network/name-files/resolv-conf.js';

describe('resolv.conf is read', () => {
  it('with all that is in it', () => {
    assert.deepEqual(
      parseResolvConf(
        [
          '# a comment',
          '; another',
          '#nameserver 9.9.9.9',
          'nameserver 192.168.1.1',
          'nameserver\t2001:db8::1  # the second',
          ' nameserver fe80::1%eth0\r',
          'search example.org  corp.example.org',
          'options ndots:2 timeout:1',
          'options edns0',
          'sortlist 10.0.0.0',
          'nameserver',
          'nameserver dns.example.org',
          'nameserver 1.1.1',
        ].join('\n'),
      ),
      {
        nameservers: ['192.168.1.1', '2001:db8::1', 'fe80::1%eth0'],
        search: ['example.org', 'corp.example.org'],
        options: ['ndots:2', 'timeout:1', 'edns0'],
      },
    );
  });

  it('with the last of search and domain', () => {
    assert.deepEqual(parseResolvConf('search a b\ndomain c d\n').search, ['c']);
    assert.deepEqual(parseResolvConf('domain c\nsearch a b').search, ['a', 'b']);
  });

  it('if it is empty', () => {
    assert.deepEqual(parseResolvConf(''), { nameservers: [], search: [], options: [] });
  });
});

describe("the host's resolv.conf", () => {
  const stub = 'nameserver 127.0.0.53\noptions edns0 trust-ad\n';
  const resolved = 'nameserver 192.168.1.1\n';

  it("is systemd-resolved's if there is only its stub", () => {
    assert.equal(hostResolvConf(stub, resolved), resolved);
    assert.equal(hostResolvConf(`${stub}nameserver 127.0.0.53\n`, resolved), resolved);
  });
  it('is the one in /etc otherwise', () => {
    assert.equal(hostResolvConf(stub), stub);
    for (const text of ['', 'nameserver 127.0.0.1\n', 'nameserver 1.1.1.1\n', `${stub}nameserver 1.1.1.1\n`]) {
      assert.equal(hostResolvConf(text, resolved), text);
    }
  });
});

describe("a container's resolv.conf", () => {
  const host = 'nameserver 192.168.1.1\nnameserver 2001:db8::1\nsearch example.org\noptions ndots:2\n';
  const render = (options: Partial<ContainerResolvConfOptions>): string =>
    containerResolvConf({
      ...{ mode: 'bridge', host, reach: { v4: true, v6: true }, fallback: ['10.0.2.3'] },
      ...{ dns: [], search: [], options: [] },
      ...options,
    });

  it("is the host's: search list, resolvers of IPv4 and IPv6, options", () => {
    const text = 'search example.org\nnameserver 192.168.1.1\nnameserver 2001:db8::1\noptions ndots:2\n';
    for (const mode of ['bridge', 'none'] as const) assert.equal(render({ mode }), text);
  });

  it("has the user's resolvers, and no other", () => {
    const text = 'search example.org\nnameserver 1.1.1.1\nnameserver ::1\noptions ndots:2\n';
    for (const mode of ['bridge', 'none'] as const) {
      assert.equal(render({ mode, dns: ['1.1.1.1', '::1'] }), text);
    }
    assert.equal(render({ host: '', dns: ['127.0.0.1'] }), 'nameserver 127.0.0.1\n');
  });

  it("has the user's search list and options in place of the host's", () => {
    assert.equal(
      render({ search: ['a.test', 'b.test'], options: ['timeout:1', 'edns0'] }),
      'search a.test b.test\nnameserver 192.168.1.1\nnameserver 2001:db8::1\noptions timeout:1 edns0\n',
    );
  });

  it('has no search list for "."', () => {
    const text = 'nameserver 192.168.1.1\nnameserver 2001:db8::1\noptions ndots:2\n';
    assert.equal(render({ search: ['.'] }), text);
    assert.equal(render({ host: host.replace('example.org', '.') }), text);
  });

  const useless = [
    '127.0.0.1',
    '127.0.0.53',
    '127.1.2.3',
    '::1',
    '0:0:0:0:0:0:0:1',
    '::ffff:127.0.0.1',
    '0.0.0.0',
    '::',
    'fe80::1%eth0',
    'fe80::1',
    '2001:db8::1%eth0',
  ];
  for (const nameserver of useless) {
    it(`is without ${nameserver} in a network of its own`, () => {
      const only = `nameserver ${nameserver}\n`;
      assert.equal(render({ host: `${only}nameserver 8.8.4.4\n` }), 'nameserver 8.8.4.4\n');
      assert.equal(render({ host: only }), 'nameserver 10.0.2.3\n');
      assert.equal(render({ host: only, fallback: [] }), '');
      assert.equal(render({ mode: 'none', host: only }), only);
    });
  }

  it('keeps link-local resolvers of IPv4, which clouds have', () => {
    assert.equal(render({ host: 'nameserver 169.254.169.254\n' }), 'nameserver 169.254.169.254\n');
  });

  it("has the network's resolvers if the host has none", () => {
    assert.equal(
      render({ host: 'search example.org', fallback: ['10.0.2.3', 'fd00::3'] }),
      'search example.org\nnameserver 10.0.2.3\nnameserver fd00::3\n',
    );
    assert.equal(render({ host: '', fallback: [] }), '');
    assert.equal(render({ mode: 'none', host: '' }), '');
  });

  it('has resolvers of the families that lead out, and of those alone', () => {
    const only = (v4: boolean, v6: boolean, more: Partial<ContainerResolvConfOptions> = {}) =>
      render({ reach: { v4, v6 }, fallback: ['10.0.2.3', 'fd00::3'], ...more }).match(/^nameserver .*$/gm) ?? [];
    assert.deepEqual(only(true, false), ['nameserver 192.168.1.1']);
    assert.deepEqual(only(false, true), ['nameserver 2001:db8::1']);
    assert.deepEqual(only(false, false), []);
    const six = 'nameserver 2001:db8::1\nnameserver fe80::1%eth0\n';
    assert.deepEqual(only(true, false, { host: six }), ['nameserver 10.0.2.3']);
    assert.deepEqual(only(false, true, { host: 'nameserver 192.168.1.1\n' }), ['nameserver fd00::3']);
    assert.deepEqual(only(true, false, { host: 'nameserver ::ffff:192.168.1.1\n' }), ['nameserver ::ffff:192.168.1.1']);
    assert.deepEqual(only(false, true, { fallback: ['10.0.2.3'], host: '' }), []);
    // What the user asks for is for the user to know.
    assert.deepEqual(only(false, false, { dns: ['1.1.1.1'] }), ['nameserver 1.1.1.1']);
  });

  const wrong: [options: Partial<ContainerResolvConfOptions>, message: RegExp][] = [
    [{ dns: ['1.1.1.1', '1.1.1'] }, /^DNS server "1\.1\.1" is not an IP address; give one/],
    [{ dns: [''] }, /^DNS server "" is not/],
    [{ dns: ['1.1.1.1\nsearch x'] }, /^DNS server "1\.1\.1\.1\\nsearch x" is not/],
    [{ search: ['a b'] }, /^DNS search domain "a b" must not be empty or contain blanks/],
    [{ search: [''] }, /^DNS search domain "" must not be empty/],
    [
      { options: ['a\nnameserver 6.6.6.6'] },
      /^DNS option "a\\nnameserver 6\.6\.6\.6" must not be empty or contain blanks/,
    ],
  ];
  for (const [options, message] of wrong) {
    it(`is invalid with ${JSON.stringify(options)}`, () => {
      assert.throws(
        () => render(options),
        (error: Error) => error instanceof ResolvConfError && message.test(error.message),
      );
    });
  }
});

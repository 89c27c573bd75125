import assert from 'node:assert/strict';
import { EgressRuleError, parseRule } from '../../../../protocol/egress/grammar.js';
import { defaultAction, formatTarget } from '../../../../protocol/egress/rule.js';

/** The canonical spelling, which has the same meaning. */
function canonical(text: string): string {
  const { target } = parseRule('allow', text, '--allow');
  const written = formatTarget(target);
  assert.deepEqual(parseRule('allow', written, '--allow').target, target, written);
  return written;
}

describe('egress rules', () => {
  const spellings: Record<string, string> = {
    'registry.npmjs.org': 'registry.npmjs.org',
    ' Registry.NPMjs.org. ': 'registry.npmjs.org',
    'registry.npmjs.org:443': 'registry.npmjs.org:443',
    'example.com:8000-8099': 'example.com:8000-8099',
    'example.com:80-80': 'example.com:80',
    '*.github.com': '*.github.com',
    '*.GitHub.com:443': '*.github.com:443',
    '*.com': '*.com',
    'bücher.example': 'xn--bcher-kva.example',
    '*.Bücher.example:443': '*.xn--bcher-kva.example:443',
    'my_host.internal': 'my_host.internal',
    db: 'db',
    '*': '*',
    '*:443': '*:443',
    'tcp:*': 'tcp',
    tcp: 'tcp',
    udp: 'udp',
    icmp: 'icmp',
    DNS: 'dns',
    'dns:Db.Example.': 'dns:db.example',
    'dns:*.example': 'dns:*.example',
    'dns:host.': 'dns:host.',
    host: 'host',
    'host:5432': 'host:5432',
    'tcp:host:5432': 'tcp:host:5432',
    'host.': 'host.',
    'dns.:80': 'dns.:80',
    '10.0.0.0/8': '10.0.0.0/8',
    '10.0.0.0/8:22': '10.0.0.0/8:22',
    '192.0.2.7': '192.0.2.7',
    '192.0.2.7/32': '192.0.2.7',
    '0.0.0.0/0:443': '0.0.0.0/0:443',
    'udp:1.1.1.1:53': 'udp:1.1.1.1:53',
    'icmp:10.0.0.0/8': 'icmp:10.0.0.0/8',
    '2001:DB8:0::/32': '2001:db8::/32',
    '2001:db8::1': '2001:db8::1',
    '[2001:db8::1]': '2001:db8::1',
    '[2001:db8::/32]:443': '[2001:db8::/32]:443',
    'udp:[2001:db8::1]:53': 'udp:[2001:db8::1]:53',
    'tcp:2001:db8::1': 'tcp:2001:db8::1',
    '::/0': '::/0',
    '@none': '@none',
    '@dns-only': '@dns-only',
    '@public': '@public',
  };

  for (const [text, expected] of Object.entries(spellings)) {
    it(`are read and written: ${text}`, () => {
      assert.equal(canonical(text), expected);
    });
  }

  it('deny what none allows as soon as one allows', () => {
    const allow = parseRule('allow', '@none', '--allow');
    const deny = parseRule('deny', 'example.com', '--deny');
    assert.equal(defaultAction([]), 'allow');
    assert.equal(defaultAction([deny]), 'allow');
    assert.equal(defaultAction([deny, allow]), 'deny');
  });

  const form = /^NAME, \*\.NAME, an address or a subnet, each with :PORT or not, or /;
  const subnet = 'an address or a subnet, such as 192.0.2.7, 10.1.0.0/16 or [2001:db8::/32]:443';
  const ports = 'ports from 1 to 65535, such as :443 or :8000-8099';
  const brackets = 'an IPv6 address or subnet in the brackets, and a port after them, such as [2001:db8::/32]:443';
  const names = 'a name after dns:, without a port, such as dns:db.example or dns:*.example';
  const wildcard = '* alone, or *. before a name, such as *.github.com';
  const invalid: Record<string, string | RegExp> = {
    '': form,
    ' ': form,
    ':443': form,
    'a b': form,
    'example..com': form,
    '-a.example': form,
    'a-.example': form,
    [`${'a'.repeat(64)}.example`]: form,
    [`${'a.'.repeat(127)}aa`]: form,
    ['x'.repeat(10_000)]: form,
    'example.com\0': form,
    'bü cher.example': form,
    'xn--a.bü': form,
    'example.123': form,
    'user@example.com': form,
    '*example.com': wildcard,
    'a.*.com': wildcard,
    '*.': wildcard,
    '*.*': wildcard,
    '*.1.2.3.4': wildcard,
    'https://registry.npmjs.org/x': 'a name without scheme and path, such as registry.npmjs.org',
    'http:///': 'a name without scheme and path, such as registry.npmjs.org',
    'example.com:': ports,
    'example.com:0': ports,
    'example.com:65536': ports,
    'example.com:1-99999': ports,
    'example.com:http': ports,
    'example.com:1-': ports,
    'example.com:-1': ports,
    'example.com:90-80': 'the smaller port first, :80-90',
    'icmp:example.com:80': 'no port: icmp has none',
    '10.0.0.1/8': '10.0.0.0/8, or the address alone',
    '2001:db8::1/32': '2001:db8::/32, or the address alone',
    '10.0.0.0/33': 'a prefix length from 0 to 32',
    '10.0.0.0/': 'a prefix length from 0 to 32',
    '2001:db8::/129': 'a prefix length from 0 to 128',
    '10.0.0.0/8/8': subnet,
    '10.0.0': subnet,
    '10.0.0.256': subnet,
    '010.0.0.1': subnet,
    'fe80::1%eth0': subnet,
    '::ffff:10.0.0.1': subnet,
    'example.com/path': subnet,
    'a:b:c': subnet,
    '[10.0.0.1]:80': brackets,
    '[2001:db8::1]443': brackets,
    '[2001:db8::]/32:443': brackets,
    '[2001:db8::1': brackets,
    '[]': brackets,
    '443': 'an address or a name before a port, such as tcp:*:443',
    'udp:53': 'an address or a name before a port, such as udp:*:53',
    'tcp:80-90': 'an address or a name before a port, such as tcp:*:80-90',
    '80-90.': 'an address or a name before a port, such as tcp:*:80-90',
    'tcp:tcp': '"tcp" without port and protocol, or "tcp." for a host of that name',
    'dns:53': '"dns" without port and protocol, or "dns." for a host of that name',
    'dns:example.com:53': names,
    'dns:*': names,
    'dns:host': names,
    'dns:10.0.0.1': names,
    'dns:10.0.0.0/8': names,
    'dns:': form,
    'udp:dns': '"dns" without port and protocol, or "dns." for a host of that name',
    'localhost:5432': '"host" for what listens on the host; localhost is the sandbox itself',
    'localhost.': '"host" for what listens on the host; localhost is the sandbox itself',
    '@all': 'one of the presets @none, @dns-only, @public',
    '@': 'one of the presets @none, @dns-only, @public',
    '@public:443': 'one of the presets @none, @dns-only, @public',
  };

  for (const [text, expected] of Object.entries(invalid)) {
    it(`are refused: ${JSON.stringify(text.slice(0, 30))}`, () => {
      assert.throws(
        () => parseRule('allow', text, '--allow'),
        (error) => {
          assert(error instanceof EgressRuleError);
          if (typeof expected === 'string') assert.equal(error.expected, expected);
          else assert.match(error.expected, expected);
          return true;
        },
      );
    });
  }

  it('are quoted in messages, cut where they are long, with where they come from', () => {
    const message = (text: string) => {
      try {
        parseRule('allow', text, '--allow');
        return assert.fail();
      } catch (error) {
        return (error as Error).message;
      }
    };
    assert.equal(
      message('example.com:0'),
      'Invalid rule "example.com:0" (--allow): expected ports from 1 to 65535, such as :443 or :8000-8099',
    );
    assert(message('\u001b'.repeat(10_000)).length < 350);
    assert(message('\n\u001b[2J').startsWith('Invalid rule "\\n\\u001b[2J" (--allow): '));
  });

  it('of presets allow only', () => {
    assert.throws(() => parseRule('deny', '@public', '--deny'), {
      message: 'Invalid rule "@public" (--deny): expected a preset to be allowed: what it leaves out is denied',
    });
  });
});

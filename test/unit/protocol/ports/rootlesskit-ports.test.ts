import assert from 'node:assert/strict';
import {
  conflictKey,
  formatPortSpec,
  PortSpecError,
  parsePortSpecs,
  validatePortSpec,
} from '../../protocol/port-spec.js';
import { parsePortSpecJSON } from '../../protocol/port-spec-json.js';
import type { PortSpec } from '../../protocol/ports.js';

function problem(callback: () => unknown): string {
  try {
    callback();
  } catch (error) {
    assert(error instanceof PortSpecError, `threw ${String(error)}`);
    assert.doesNotMatch(error.message, /\n/, 'the message is one line');
    return error.message;
  }
  assert.fail('nothing was thrown');
}

describe('port specs of the command line', () => {
  const valid: [text: string, spec: PortSpec][] = [
    ['8080:80', { proto: 'tcp', parentPort: 8080, childPort: 80 }],
    ['8080:80/udp', { proto: 'udp', parentPort: 8080, childPort: 80 }],
    [':8181:80/tcp', { proto: 'tcp', parentPort: 8181, childPort: 80 }],
    [':8181::80/tcp', { proto: 'tcp', parentPort: 8181, childPort: 80 }],
    ['[]:8181:80/tcp', { proto: 'tcp', parentPort: 8181, childPort: 80 }],
    ['127.0.0.2:8080:80', { proto: 'tcp', parentIP: '127.0.0.2', parentPort: 8080, childPort: 80 }],
    ['[127.0.0.1]:8080:80/tcp4', { proto: 'tcp4', parentIP: '127.0.0.1', parentPort: 8080, childPort: 80 }],
    [
      '127.0.0.1:8080:10.0.2.100:80/tcp',
      { proto: 'tcp', parentIP: '127.0.0.1', parentPort: 8080, childPort: 80, childIP: '10.0.2.100' },
    ],
    ['8080:10.0.2.100:80', { proto: 'tcp', parentPort: 8080, childPort: 80, childIP: '10.0.2.100' }],
    ['8080:[::1]:80', { proto: 'tcp', parentPort: 8080, childPort: 80, childIP: '::1' }],
    ['[::1]:8080:[::2]:80/udp', { proto: 'udp', parentIP: '::1', parentPort: 8080, childPort: 80, childIP: '::2' }],
    [
      ' [ ::1 ] : 8080 : 127.0.0.1 : 80 / tcp ',
      { proto: 'tcp', parentIP: '::1', parentPort: 8080, childPort: 80, childIP: '127.0.0.1' },
    ],
    ['127.0.0.1:0:80/tcp', { proto: 'tcp', parentIP: '127.0.0.1', parentPort: 0, childPort: 80 }],
    ['0:80', { proto: 'tcp', parentPort: 0, childPort: 80 }],
    ['127.0.0.1:8080:80/sctp', { proto: 'sctp', parentIP: '127.0.0.1', parentPort: 8080, childPort: 80 }],
    // Kept as it was written, though there are shorter ways.
    ['[0:0::1]:08080:80/tcp6', { proto: 'tcp6', parentIP: '0:0::1', parentPort: 8080, childPort: 80 }],
    ['[::]:8080:80/tcp4', { proto: 'tcp4', parentIP: '::', parentPort: 8080, childPort: 80 }],
    [
      '[::ffff:127.0.0.1]:8080:80/tcp4',
      { proto: 'tcp4', parentIP: '::ffff:127.0.0.1', parentPort: 8080, childPort: 80 },
    ],
    // What the child's side is dialled with does not depend on what the host's side listens on.
    [
      '127.0.0.1:8080:[::1]:80/tcp4',
      { proto: 'tcp4', parentIP: '127.0.0.1', parentPort: 8080, childPort: 80, childIP: '::1' },
    ],
  ];
  for (const [text, spec] of valid) {
    it(`reads ${JSON.stringify(text)}`, () => {
      assert.deepEqual(parsePortSpecs(text), [spec]);
      assert.deepEqual(parsePortSpecs(formatPortSpec(spec)), [spec], 'reads what it wrote itself');
    });
  }

  it('expands ranges', () => {
    assert.deepEqual(parsePortSpecs('127.0.0.1:8000-8002:9000-9002/udp'), [
      { proto: 'udp', parentIP: '127.0.0.1', parentPort: 8000, childPort: 9000 },
      { proto: 'udp', parentIP: '127.0.0.1', parentPort: 8001, childPort: 9001 },
      { proto: 'udp', parentIP: '127.0.0.1', parentPort: 8002, childPort: 9002 },
    ]);
    assert.equal(parsePortSpecs('8000-8000:80').length, 1);
    assert.equal(parsePortSpecs('1-65535:1-65535').length, 65535);
    assert.deepEqual(parsePortSpecs('8000:80+proxy1'), [
      { proto: 'tcp', parentPort: 8000, childPort: 80, proxyProtocol: 1 },
    ]);
    assert.deepEqual(parsePortSpecs('8000-8001:80-81/tcp4+proxy2').map(formatPortSpec), [
      '8000:80/tcp4+proxy2',
      '8001:81/tcp4+proxy2',
    ]);
    assert.deepEqual(parsePortSpecs('8000-8001:10.0.2.100:80-81').map(formatPortSpec), [
      '8000:10.0.2.100:80/tcp',
      '8001:10.0.2.100:81/tcp',
    ]);
  });

  const invalid: [text: string, problem: RegExp][] = [
    ['bad', /"bad": no child port; expected \[parentIP:\]parentPort:\[childIP:\]childPort\[\/proto\]/],
    ['8080', /no child port/],
    ['', /empty/],
    ['  ', /empty/],
    ['/tcp', /no child port/],
    ['8080:', /no child port/],
    [':80', /no parent port/],
    ['8080:80/udp+proxy2', /the PROXY protocol is for TCP/],
    ['8080:80+proxy', /unknown option "\+proxy"; known are \+proxy1 and \+proxy2/],
    ['a:80', /parent port "a" is not a number/],
    ['+8080:80', /parent port "\+8080" is not a number/],
    ['-1:80', /parent port "-1" is not a number/],
    ['0x50:80', /parent port "0x50"/],
    ['8080:0', /child port 0 is not between 1 and 65535/],
    ['8080:65536', /child port 65536 is larger than 65535/],
    ['99999999999999999999:80', /parent port "9{20}" is not a number/],
    ['8080:80/', /unknown proto ""/],
    ['8080:80/TCP', /unknown proto "TCP"; expected one of tcp, tcp4, tcp6, udp, udp4, udp6$/],
    ['8080:80/tcp/udp', /child port "80\/tcp" is not a number/],
    ['127.0.0.1:8080:80/tcp,127.0.0.1:8081:80/tcp', /too many colons/],
    ['::1:8187:80/tcp', /too many colons, an IPv6 address needs brackets/],
    ['[::1:8187:80/tcp', /unexpected "\["/],
    ['::1]:8187:80/tcp', /unexpected "\]"/],
    ['[::1]8187:80/tcp', /unexpected "\["/],
    ['localhost:8080:80', /parent IP "localhost" is not an IP address/],
    ['*:8080:80', /parent IP "\*" is not an IP address/],
    ['127.1:8080:80', /parent IP "127\.1" is not an IP address/],
    ['127.0.0.01:8080:80', /parent IP "127\.0\.0\.01" is not an IP address/],
    ['0x7f.0.0.1:8080:80', /is not an IP address/],
    ['[::ffff:0x7f.0.0.1]:8080:80', /is not an IP address/],
    ['256.0.0.1:8080:80', /is not an IP address/],
    ['[fe80::1%lo]:8080:80', /parent IP "fe80::1%lo" has a zone/],
    ['8080:somewhere:80', /child IP "somewhere" is not an IP address/],
    ['1:2:3', /parent IP "1" is not an IP address/],
    ['[8080]:80:80', /parent IP "8080" is not an IP address/],
    ['a\nb:1:2', /parent IP "a\\nb"/],
    ['8000-8010:80', /11 parent ports for 1 child port/],
    ['8000-8010:8000-8011', /11 parent ports for 12 child ports/],
    ['8010-8000:80-90', /parent ports "8010-8000" run backwards/],
    ['8000-:80', /parent port "8000-" is not a number/],
    ['0-1:80-81', /cannot begin with 0/],
    ['1-70000:1-70000', /parent port 70000 is larger than 65535/],
    ['0.0.0.0:8080:80/tcp6', /no suitable address found: tcp6 cannot listen on the IPv4 address 0\.0\.0\.0/],
    ['127.0.0.1:8080:80/udp6', /no suitable address found/],
    ['[::1]:8080:80/tcp4', /no suitable address found: tcp4 cannot listen on the IPv6 address ::1/],
    ['[::ffff:127.0.0.1]:8080:80/tcp6', /no suitable address found/],
  ];
  for (const [text, expected] of invalid) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.match(
        problem(() => parsePortSpecs(text)),
        expected,
      );
    });
  }

  it('quotes no more than a line of what was written', () => {
    assert(problem(() => parsePortSpecs('x'.repeat(100_000))).length < 400);
  });
});

describe('validatePortSpec', () => {
  const spec: PortSpec = { proto: 'tcp', parentIP: '127.0.0.1', parentPort: 8080, childPort: 80 };

  it('names the spec and the part', () => {
    assert.equal(
      problem(() => validatePortSpec({ ...spec, childPort: 70000 })),
      'invalid port "127.0.0.1:8080:70000/tcp": child port 70000 is not between 1 and 65535',
    );
  });

  for (const port of [-200, 65536, 1000000, 1.5, Number.NaN]) {
    it(`refuses port ${port}`, () => {
      assert.match(
        problem(() => validatePortSpec({ ...spec, parentPort: port })),
        /parent port/,
      );
      assert.match(
        problem(() => validatePortSpec({ ...spec, childPort: port })),
        /child port/,
      );
    });
  }
  for (const port of [20, 500, 1337, 65000, 65535]) {
    it(`takes port ${port}`, () => {
      validatePortSpec({ ...spec, parentPort: port, childPort: port });
    });
  }
  it('takes parent port 0 and not child port 0', () => {
    validatePortSpec({ ...spec, parentPort: 0 });
    assert.match(
      problem(() => validatePortSpec({ ...spec, childPort: 0 })),
      /child port 0/,
    );
  });
});

describe('conflictKey', () => {
  const key = (text: string): string | undefined => parsePortSpecs(text).map(conflictKey)[0];

  it('is equal for the same protocol, host address and host port', () => {
    assert.equal(key('8080:80'), key('8080:81'));
    assert.equal(key('10.10.10.10:8080:80'), key('10.10.10.10:8080:10.0.2.100:81'));
  });
  it('differs for anything else', () => {
    const keys = [
      '80:80/udp',
      '80:80/tcp',
      '80:80/tcp4',
      '10.0.0.1:80:80',
      '10.0.0.2:80:80',
      '81:80',
      '0.0.0.0:80:80',
    ].map(key);
    assert.equal(new Set(keys).size, keys.length);
  });
  it('is none for "any free port"', () => {
    assert.equal(key('0:80'), undefined);
  });
});

describe('port specs of the API', () => {
  it('leaves out what is absent, null or empty', () => {
    const spec = { proto: 'tcp', parentPort: 8080, childPort: 80 };
    assert.deepEqual(parsePortSpecJSON(spec), spec);
    assert.deepEqual(parsePortSpecJSON({ ...spec, parentIP: null, childIP: '' }), spec);
  });
  it('keeps the order of fields that RootlessKit has, and drops fields that it does not know', () => {
    const text = '{"childIP":"::1","childPort":80,"parentPort":8080,"parentIP":"::","proto":"tcp","more":{}}';
    assert.equal(
      JSON.stringify(parsePortSpecJSON(JSON.parse(text))),
      '{"proto":"tcp","parentIP":"::","parentPort":8080,"childPort":80,"childIP":"::1"}',
    );
  });
  it('takes names of fields in any case', () => {
    assert.deepEqual(parsePortSpecJSON({ Proto: 'tcp', parentport: 8190, CHILDPORT: 80 }), {
      proto: 'tcp',
      parentPort: 8190,
      childPort: 80,
    });
  });
  it('takes a missing parent port for any free one', () => {
    assert.equal(parsePortSpecJSON({ proto: 'tcp', childPort: 80 }).parentPort, 0);
  });

  const invalid: [value: unknown, problem: RegExp][] = [
    [null, /^invalid port: null is not an object with proto, parentPort and childPort$/],
    [[], /\[\] is not an object/],
    ['8080:80', /"8080:80" is not an object/],
    [{}, /unknown proto ""/],
    [{ proto: 'tcp', parentPort: 8080 }, /child port 0/],
    [{ proto: 5 }, /^invalid port: proto 5 is not a string$/],
    [{ proto: 'tcp', parentPort: '8080', childPort: 80 }, /^invalid port: parentPort "8080" is not a whole number$/],
    [{ proto: 'tcp', parentPort: 1.5, childPort: 80 }, /parentPort 1\.5 is not a whole number/],
    [{ proto: 'tcp', parentPort: -1, childPort: 80 }, /parent port -1/],
    [{ proto: 'tcp', parentPort: 1e300, childPort: 80 }, /parentPort 1e\+300 is not a whole number/],
    [{ proto: 'tcp', parentPort: 8080, childPort: 80, parentIP: '[::1]' }, /parent IP "\[::1\]" is not an IP address/],
    [{ proto: 'tcp', parentPort: 8080, childPort: 80, childIP: 'a\nb' }, /child IP "a\\nb" is not an IP address/],
    [
      { proto: 'tcp', parentPort: 8080, childPort: 80, childIP: ['x'.repeat(10_000)] },
      /childIP \["x+… is not a string/,
    ],
  ];
  for (const [value, expected] of invalid) {
    it(`refuses ${JSON.stringify(value).slice(0, 80)}`, () => {
      assert.match(
        problem(() => parsePortSpecJSON(value)),
        expected,
      );
    });
  }
});

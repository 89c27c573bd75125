import assert from 'node:assert/strict';
import {
  checkPortMapping,
  formatPortMapping,
  PortMappingError,
  parsePortSpec,
} from '../../../../protocol/ports/grammar.js';
import { HostPortIndex } from '../../../../protocol/ports/host-port-index.js';
import { type PortMapping, singles } from '../../../../protocol/ports/port-mapping.js';
import {
  type PortSpec,
  parsePortSpecJSON,
  portSpecOf,
  portStatuses,
  reachableIP,
} from '../../../../protocol/ports/rootlesskit-json.js';

function problem(callback: () => unknown): string {
  try {
    callback();
  } catch (error) {
    assert(error instanceof PortMappingError, `threw ${String(error)}`);
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
    ['8080:80/TCP', { proto: 'tcp', parentPort: 8080, childPort: 80 }],
    ['8080:80/Udp6', { proto: 'udp6', parentPort: 8080, childPort: 80 }],
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
      const mapping = parsePortSpec(text);
      assert.deepEqual(portSpecOf(mapping), spec);
      assert.deepEqual(parsePortSpec(formatPortMapping(mapping)), mapping, 'reads what it wrote itself');
    });
  }

  it('keeps a range as one mapping, which stands for each of its ports', () => {
    const range = parsePortSpec('127.0.0.1:8000-8002:9000-9002/udp');
    assert.equal(range.count, 3);
    assert.deepEqual([...singles([range])].map(portSpecOf), [
      { proto: 'udp', parentIP: '127.0.0.1', parentPort: 8000, childPort: 9000 },
      { proto: 'udp', parentIP: '127.0.0.1', parentPort: 8001, childPort: 9001 },
      { proto: 'udp', parentIP: '127.0.0.1', parentPort: 8002, childPort: 9002 },
    ]);
    assert.equal(parsePortSpec('8000-8000:80').count, 1);
    assert.equal(parsePortSpec('1-65535:1-65535').count, 65535);
    assert.deepEqual(portSpecOf(parsePortSpec('8000:80+proxy1')), {
      proto: 'tcp',
      parentPort: 8000,
      childPort: 80,
      proxyProtocol: 1,
    });
    const each = (text: string) => [...singles([parsePortSpec(text)])].map(formatPortMapping);
    assert.deepEqual(each('8000-8001:80-81/tcp4+proxy2'), ['8000:80/tcp4+proxy2', '8001:81/tcp4+proxy2']);
    assert.deepEqual(each('8000-8001:10.0.2.100:80-81'), ['8000:10.0.2.100:80/tcp', '8001:10.0.2.100:81/tcp']);
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
    ['8080:80/TCQ', /unknown proto "tcq"; expected one of tcp, tcp4, tcp6, udp, udp4, udp6$/],
    ['239.1.1.1:5000:5000/udp', /parent IP "239\.1\.1\.1" is a multicast address; only unicast addresses/],
    ['224.0.0.1:5000:5000/tcp', /is a multicast address/],
    ['[ff02::fb]:5353:5353/udp', /parent IP "ff02::fb" is a multicast address/],
    ['[FF15::1]:5353:5353/udp', /is a multicast address/],
    ['[fe80::1]:5000:5000/tcp', /parent IP "fe80::1" is link-local: it needs a zone, which is not supported/],
    ['5000:[febf::1]:5000/udp', /child IP "febf::1" is link-local/],
    ['[::ffff:239.1.1.1]:5000:5000/udp', /is a multicast address/],
    ['255.255.255.255:67:67/udp', /is a broadcast address/],
    ['5000:239.1.1.1:5000/udp', /child IP "239\.1\.1\.1" is a multicast address/],
    ['8080:80/tcp/udp', /unexpected slashes/],
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
    ['8010-8000:80-90', /parent ports "8010-8000" are reversed/],
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
        problem(() => parsePortSpec(text)),
        expected,
      );
    });
  }

  it('quotes no more than a line of what was written', () => {
    assert(problem(() => parsePortSpec('x'.repeat(100_000))).length < 400);
  });
});

describe('checkPortMapping', () => {
  const mapping = parsePortSpec('127.0.0.1:8080:80');
  const host = (port: number): PortMapping => ({ ...mapping, host: { ...mapping.host, port } });
  const target = (port: number): PortMapping => ({ ...mapping, target: { ...mapping.target, port } });

  it('names the port and the part', () => {
    assert.equal(
      problem(() => checkPortMapping(target(70000))),
      'invalid port "127.0.0.1:8080:70000/tcp": child port 70000 is not between 1 and 65535',
    );
  });

  for (const port of [-200, 65536, 1000000, 1.5, Number.NaN]) {
    it(`refuses port ${port}`, () => {
      assert.match(
        problem(() => checkPortMapping(host(port))),
        /parent port/,
      );
      assert.match(
        problem(() => checkPortMapping(target(port))),
        /child port/,
      );
    });
  }
  for (const port of [20, 500, 1337, 65000, 65535]) {
    it(`accepts port ${port}`, () => {
      checkPortMapping({ ...host(port), target: { ip: '', port } });
    });
  }
  it('accepts parent port 0 and not child port 0', () => {
    checkPortMapping(host(0));
    assert.match(
      problem(() => checkPortMapping(target(0))),
      /child port 0/,
    );
  });
  it('refuses ranges beyond the last port, and of no ports', () => {
    for (const [count, expected] of [
      [0, /count 0 is not a number from 1 on/],
      [-1, /count -1 is not a number from 1 on/],
      [57_457, /parent port 65536 is not between 0 and 65535/],
    ] as const) {
      assert.match(
        problem(() => checkPortMapping({ ...mapping, count })),
        expected,
      );
    }
    assert.match(
      problem(() => checkPortMapping({ ...host(1), target: { ip: '', port: 2 }, count: 65535 })),
      /child port 65536 is not between 1 and 65535/,
    );
    assert.match(
      problem(() => checkPortMapping({ ...host(0), count: 2 })),
      /a range of parent ports cannot begin with 0/,
    );
  });
});

describe('mappings by their ports of the host', () => {
  const conflicts = (one: string, other: string): boolean => {
    const index = new HostPortIndex<PortMapping>();
    index.set(parsePortSpec(one));
    return [...index.overlaps(parsePortSpec(other))].length > 0;
  };

  it('conflict for the same protocol, host address and host port', () => {
    assert(conflicts('8080:80', '8080:81'));
    assert(conflicts('10.10.10.10:8080:80', '10.10.10.10:8080:10.0.2.100:81'));
    assert(conflicts('8000-8010:8000-8010', '8010-8020:10-20'));
    assert(conflicts('8005:80', '8000-8010:8000-8010'));
  });
  it('do not where anything else differs', () => {
    const others = [
      '80:80/udp',
      '80:80/tcp4',
      '10.0.0.1:80:80',
      '10.0.0.2:80:80',
      '81:80',
      '0.0.0.0:80:80',
      '81-90:81-90',
    ];
    for (const other of others) assert(!conflicts('80:80/tcp', other), other);
    assert(!conflicts('10.0.0.1:80:80', '10.0.0.2:80:80'));
    assert(!conflicts('0:80', '0:80'), 'any free port is another one each time');
  });

  it('are found in parts, and what remains of a range stays', () => {
    const index = new HostPortIndex<PortMapping>();
    const texts = (found: Iterable<PortMapping>) => [...found].map(formatPortMapping);
    for (const text of ['2000-2999:12000-12999', '1000-1009:80-89', '4000:40']) index.set(parsePortSpec(text));
    assert.deepEqual(texts(index), ['1000-1009:80-89/tcp', '2000-2999:12000-12999/tcp', '4000:40/tcp']);
    assert.deepEqual(texts(index.overlaps(parsePortSpec('1005-2004:1-1000'))), [
      '1005-1009:85-89/tcp',
      '2000-2004:12000-12004/tcp',
    ]);
    assert.deepEqual(texts(index.missing(parsePortSpec('999-1011:1-13'))), ['999:1/tcp', '1010-1011:12-13/tcp']);
    assert.deepEqual(texts(index.delete(parsePortSpec('2500:1'))), ['2500:12500/tcp']);
    assert.deepEqual(texts(index), [
      '1000-1009:80-89/tcp',
      '2000-2499:12000-12499/tcp',
      '2501-2999:12501-12999/tcp',
      '4000:40/tcp',
    ]);
    assert.equal(index.covers(parsePortSpec('2000-2499:1-500')), true);
    assert.equal(index.covers(parsePortSpec('2000-2500:1-501')), false);
    assert.deepEqual(texts(index.delete(parsePortSpec('1-65535:1-65535'))).length, 4);
    assert.equal(index.isEmpty, true);
  });
});

describe('port specs of the API', () => {
  it('leaves out what is absent, null or empty', () => {
    const spec = { proto: 'tcp', parentPort: 8080, childPort: 80 };
    assert.deepEqual(portSpecOf(parsePortSpecJSON(spec)), spec);
    assert.deepEqual(portSpecOf(parsePortSpecJSON({ ...spec, parentIP: null, childIP: '' })), spec);
  });
  it('refuses an unknown field, by its name', () => {
    const value = { proto: 'tcp', parentPort: 8080, childPort: 80, chidIP: '::1' };
    assert.match(
      problem(() => parsePortSpecJSON(value)),
      /unknown key "chidIP"; there are proto, parentIP, .*/,
    );
  });
  it('keeps the order of fields that RootlessKit has', () => {
    const text = '{"childIP":"::1","childPort":80,"parentPort":8080,"parentIP":"::","proto":"tcp"}';
    assert.equal(
      JSON.stringify(portSpecOf(parsePortSpecJSON(JSON.parse(text)))),
      '{"proto":"tcp","parentIP":"::","parentPort":8080,"childPort":80,"childIP":"::1"}',
    );
  });
  it('accepts names of fields in any case', () => {
    assert.deepEqual(portSpecOf(parsePortSpecJSON({ Proto: 'tcp', parentport: 8190, CHILDPORT: 80 })), {
      proto: 'tcp',
      parentPort: 8190,
      childPort: 80,
    });
  });
  it('accepts the protocol in any case', () => {
    assert.equal(parsePortSpecJSON({ proto: 'TCP', parentPort: 8190, childPort: 80 }).transport, 'tcp');
  });
  it('interprets a missing parent port as any free one', () => {
    assert.equal(parsePortSpecJSON({ proto: 'tcp', childPort: 80 }).host.port, 0);
  });

  it('has ranges, whose ports are listed on their own, with their ids', () => {
    const spec: PortSpec = { proto: 'udp6', parentPort: 8000, childPort: 90, count: 3 };
    const range = parsePortSpecJSON(spec);
    assert.deepEqual(portSpecOf(range), spec);
    assert.deepEqual(
      [...portStatuses([{ id: 7, ...range }])],
      [0, 1, 2].map((n) => ({ id: 7 + n, spec: { proto: 'udp6', parentPort: 8000 + n, childPort: 90 + n } })),
    );
  });

  const invalid: [value: unknown, problem: RegExp][] = [
    [{ proto: 'tcp', parentPort: 8080, childPort: 80, count: '2' }, /count "2" is not a whole number/],
    [{ proto: 'tcp', parentPort: 8080, childPort: 80, count: 0 }, /count 0 is not a number from 1 on/],
    [{ proto: 'tcp', parentPort: 65535, childPort: 80, count: 2 }, /parent port 65536 is not between 0 and 65535/],
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

describe('published ports', () => {
  for (const [proto, parentIP, expected] of [
    ['tcp', undefined, '127.0.0.1'],
    ['tcp', '', '127.0.0.1'],
    ['tcp', '0.0.0.0', '127.0.0.1'],
    ['udp4', '', '127.0.0.1'],
    ['tcp6', '', '::1'],
    ['tcp', '::', '::1'],
    ['tcp', '127.0.0.2', '127.0.0.2'],
    ['udp6', 'fd00::1', 'fd00::1'],
  ] as const) {
    it(`are reached at ${expected} on the host (${proto}, ${parentIP})`, () => {
      assert.equal(reachableIP({ proto, ...(parentIP !== undefined && { parentIP }) }), expected);
    });
  }
});

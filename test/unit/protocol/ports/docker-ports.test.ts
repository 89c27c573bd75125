import assert from 'node:assert/strict';
import { type CNIPortMapping, cniMappingOf, cniSingles } from '../../../../protocol/ports/cni-json.js';
import { PortMappingError, parsePublish } from '../../../../protocol/ports/grammar.js';

function problem(text: string): string {
  try {
    parsePublish(text);
  } catch (error) {
    assert(error instanceof PortMappingError, `threw ${String(error)}`);
    assert.doesNotMatch(error.message, /\n/, 'the message is one line');
    return error.problem;
  }
  assert.fail('nothing was thrown');
}

describe('published ports of a container', () => {
  const spec = { hostIP: '', hostPort: 8080, containerPort: 80, protocol: 'tcp' } satisfies CNIPortMapping;
  const read = (text: string) => cniMappingOf(parsePublish(text));

  const valid: [text: string, spec: CNIPortMapping, canonical: string][] = [
    ['80', { ...spec, hostPort: 0 }, '80/tcp'],
    [':80', { ...spec, hostPort: 0 }, '80/tcp'],
    ['0:80', { ...spec, hostPort: 0 }, '80/tcp'],
    ['53/udp', { ...spec, hostPort: 0, containerPort: 53, protocol: 'udp' }, '53/udp'],
    ['8080:80', spec, '8080:80/tcp'],
    ['8080:80/tcp', spec, '8080:80/tcp'],
    ['8080:80/UDP', { ...spec, protocol: 'udp' }, '8080:80/udp'],
    [':8080:80', spec, '8080:80/tcp'],
    ['8080-8080:80', spec, '8080:80/tcp'],
    ['127.0.0.2:8080:80', { ...spec, hostIP: '127.0.0.2' }, '127.0.0.2:8080:80/tcp'],
    ['0.0.0.0:8080:80', { ...spec, hostIP: '0.0.0.0' }, '0.0.0.0:8080:80/tcp'],
    ['127.0.0.1::80', { ...spec, hostIP: '127.0.0.1', hostPort: 0 }, '127.0.0.1::80/tcp'],
    ['127.0.0.1:0:80', { ...spec, hostIP: '127.0.0.1', hostPort: 0 }, '127.0.0.1::80/tcp'],
    ['[::1]:8080:80', { ...spec, hostIP: '::1' }, '[::1]:8080:80/tcp'],
    ['[::]::80/udp', { ...spec, hostIP: '::', hostPort: 0, protocol: 'udp' }, '[::]::80/udp'],
    ['[::0]:8080:80', { ...spec, hostIP: '::0' }, '[::0]:8080:80/tcp'],
    ['3000-3005:80', { ...spec, hostPort: 3000, hostPortEnd: 3005 }, '3000-3005:80/tcp'],
    [
      '[::1]:3000-3005:80/udp',
      { hostIP: '::1', hostPort: 3000, hostPortEnd: 3005, containerPort: 80, protocol: 'udp' },
      '[::1]:3000-3005:80/udp',
    ],
    [' 127.0.0.1 : 8080 : 80 / tcp ', { ...spec, hostIP: '127.0.0.1' }, '127.0.0.1:8080:80/tcp'],
    ['65535:65535', { ...spec, hostPort: 65535, containerPort: 65535 }, '65535:65535/tcp'],
  ];
  for (const [text, expected, canonical] of valid) {
    it(`reads ${JSON.stringify(text)}`, () => {
      assert.deepEqual(read(text), expected);
      assert.deepEqual(read(canonical), expected, 'is the same in its usual form');
    });
  }

  const ranges: [text: string, specs: string[]][] = [
    ['3000-3002:8000-8002', ['3000:8000/tcp', '3001:8001/tcp', '3002:8002/tcp']],
    ['127.0.0.1:3000-3001:80-81/udp', ['127.0.0.1:3000:80/udp', '127.0.0.1:3001:81/udp']],
    ['80-81', ['80/tcp', '81/tcp']],
    ['[::1]::80-81', ['[::1]::80/tcp', '[::1]::81/tcp']],
  ];
  for (const [text, expected] of ranges) {
    it(`reads ${text} as one range, which stands for each of its ports`, () => {
      const { count } = parsePublish(text);
      assert.equal(count, expected.length);
      assert.deepEqual(cniSingles([read(text)]), expected.map(read));
    });
  }

  it('can be all ports', () => {
    assert.equal(parsePublish('1-65535:1-65535').count, 65535);
  });

  const invalid: [text: string, problem: RegExp][] = [
    ['', /^it is empty$/],
    ['  ', /^it is empty$/],
    ['/tcp', /^no container port$/],
    ['8080:', /^no container port$/],
    ['127.0.0.1:8080:', /^no container port$/],
    ['8080:80/', /^invalid protocol ""$/],
    ['8080:80/icmp', /^invalid protocol "icmp"$/],
    ['8080:80/tcp4', /^invalid protocol "tcp4"$/],
    ['8080:80/sctp', /^sctp is not supported/],
    ['8080:80/SCTP', /^sctp is not supported/],
    ['8080:80/tcp/', /^unexpected slashes$/],
    ['8080:80/tcp/udp', /^unexpected slashes$/],
    ['127.0.0.256:8080:80', /^host IP "127\.0\.0\.256" is not an IP address$/],
    ['127.1:8080:80', /^host IP "127\.1" is not an IP address$/],
    ['239.1.1.1:5000:5000/udp', /^host IP "239\.1\.1\.1" is a multicast address; only unicast addresses/],
    ['localhost:8080:80', /^host IP "localhost" is not an IP address$/],
    ['[fe80::1%eth0]:8080:80', /^host IP "fe80::1%eth0" has a zone/],
    ['127.0.0.1:80', /^host port "127\.0\.0\.1" is not a number$/],
    ['[::1]:80', /^host port "::1" is not a number$/],
    ['::1:8080:80', /^too many colons, an IPv6 address needs brackets$/],
    ['127.0.0.1:8080:10.0.0.1:80', /^too many colons/],
    ['[::1:8080:80', /^unexpected "\["/],
    ['8080:0', /^container port 0 is not between 1 and 65535$/],
    ['0', /^container port 0 is not between 1 and 65535$/],
    ['8080:65536', /^container port 65536 is larger than 65535$/],
    ['65536:80', /^host port 65536 is larger than 65535$/],
    ['8080:http', /^container port "http" is not a number$/],
    ['-1:80', /^host port "-1" is not a number$/],
    ['8080:80,8081:81', /^host port "80,8081" is not a number$/],
    ['3000-3001:80-82', /^ranges of different length, 2 host ports for 3 container ports$/],
    ['3000:80-81', /^ranges of different length, 1 host port for 2 container ports$/],
    ['3005-3000:80', /^host ports "3005-3000" are reversed$/],
    ['3000-3005:85-80', /^container ports "85-80" are reversed$/],
    ['0-5:80', /^a range of host ports cannot begin with 0$/],
    ['3000-:80', /^host port "3000-" is not a number$/],
  ];
  for (const [text, expected] of invalid) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.match(problem(text), expected);
    });
  }

  it('reports what was written and what is expected', () => {
    assert.throws(() => parsePublish('a\nb'), {
      message:
        'invalid published port "a\\nb": container port "a\\nb" is not a number; expected [ip:][hostPort[-range]:]containerPort[-range][/tcp|udp], such as 127.0.0.1:8080:80/tcp',
    });
    assert.throws(
      () => parsePublish('x'.repeat(100_000)),
      (error: Error) => error.message.length < 500,
    );
  });
});

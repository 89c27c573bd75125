import assert from 'node:assert/strict';
import {
  ContainerRequestError,
  parseAttachmentRequest,
  parseContainerRequest,
  parseExecRequest,
  parseName,
  parseNetworkRequest,
} from '../../../protocol/containers/schemas.js';
import { parsePublish } from '../../../protocol/ports/grammar.js';
import { joined } from '../../../protocol/ports/port-mapping.js';

const plain = { rootfs: '/rootfs', command: ['true'] };

/** What is wrong, which has to be one line of this project. */
function problem(parse: (value: unknown) => unknown, value: unknown): string {
  try {
    parse(value);
  } catch (error) {
    assert(error instanceof ContainerRequestError, `threw ${String(error)}`);
    assert.doesNotMatch(error.message, /\n/);
    assert(error.message.length < 300, error.message);
    return error.message;
  }
  return assert.fail(`${JSON.stringify(value)} was taken`);
}

describe('requests for containers', () => {
  it('are refused in our words for each part of a mount', () => {
    const mount = (value: unknown) => problem(parseContainerRequest, { ...plain, mounts: [value] });
    assert.equal(mount({ type: 'bind' }), 'mounts.0.source: it is missing');
    assert.equal(mount({ type: 'x', target: '/x' }), 'mounts.0.type: expected an object whose type is bind or tmpfs');
    assert.equal(mount(5), 'mounts.0: expected an object whose type is bind or tmpfs');
    assert.equal(mount({ type: 'tmpfs', target: '/x', options: 'ro' }), 'mounts.0.options: "ro" is not an array');
    assert.equal(mount({ type: 'tmpfs', target: '/x', foo: 1 }), 'mounts.0: unknown key "foo"');
  });

  it('are refused in one line however deeply they are nested', () => {
    const deep = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000)) as unknown;
    assert.equal(problem(parseContainerRequest, deep), '[[…]] is not an object');
    assert.equal(
      problem(parseContainerRequest, { ...plain, name: { a: deep } }),
      'name: what is nested so deeply is not a string',
    );
  });

  it('have a value for everything', () => {
    assert.deepEqual(parseContainerRequest(plain), {
      ...plain,
      env: [],
      tty: false,
      stdin: false,
      readOnly: false,
      mounts: [],
      sysctls: {},
      capAdd: [],
      capDrop: [],
      init: false,
      restart: { policy: 'no' },
      ulimits: [],
      groupAdd: [],
      annotations: {},
      network: { mode: 'networks', networks: [] },
      publish: [],
      autoPublish: [],
      dns: [],
      dnsSearch: [],
      egress: [],
      dnsOptions: [],
      addHosts: [],
      labels: {},
      log: { maxSize: 10 * 1024 * 1024, maxFiles: 3 },
      noNewPrivileges: false,
      autoRemove: false,
    });
    assert.deepEqual(parseContainerRequest({ bundle: '/bundle' }).bundle, '/bundle');
  });

  const taken: Record<string, unknown>[] = [
    { name: 'a' },
    { name: 'A1_.-' },
    { name: 'x'.repeat(128) },
    { hostname: 'h' },
    { hostname: 'a-b.example.org', domainname: 'example.org' },
    { env: ['A=', 'B=x=y', 'C=two\nlines'] },
    { mounts: ['/a:/b', '/a:/c:ro', '/a:/d:rw', '/with space:/e'] },
    { user: '0' },
    { user: '1000:1000' },
    { user: 'www-data:adm' },
    { mounts: [{ type: 'bind', source: '/a:b', target: '/b', options: ['ro'] }] },
    { mounts: [{ type: 'tmpfs', target: '/t', options: ['size=1m', 'mode=1777'] }, '/a:/t/b'] },
    { sysctls: { 'net.ipv4.ip_forward': '1', 'kernel.shmmax': '1' } },
    { restart: { policy: 'on-failure', maxRetries: 3 } },
    { stopSignal: 'SIGRTMIN+3', stopTimeout: -1, ulimits: [{ name: 'nofile', soft: 1, hard: -1 }] },
    { network: { mode: 'host' }, publish: [{ hostIP: '', hostPort: 0, containerPort: 80, protocol: 'tcp' }] },
    {
      network: {
        mode: 'networks',
        networks: [{ network: 'a', ip: '10.0.0.9', ip6: 'fd00::9', mac: '02:00:00:00:00:01' }],
      },
    },
    { dns: ['192.0.2.1', '2001:db8::1'] },
    {
      addHosts: [
        { host: 'h', ip: 'host-gateway' },
        { host: 'h', ip: '::1' },
      ],
    },
    { network: { mode: 'container', container: 'a' }, env: ['A=1'] },
  ];
  for (const request of taken) {
    it(`accepts ${JSON.stringify(request).slice(0, 80)}`, () => {
      parseContainerRequest({ ...plain, ...request });
    });
  }

  const port = { hostIP: '', hostPort: 8080, containerPort: 80, protocol: 'tcp' };
  const refused: [request: unknown, what: RegExp][] = [
    [undefined, /./],
    [[], /./],
    [{}, /^a container needs either a root file system \(--rootfs\) or an OCI bundle \(--bundle\)$/],
    [{ ...plain, bundle: '/b' }, /^a container needs either/],
    [{ rootfs: '/r' }, /^no command: name the program to run/],
    [{ ...plain, command: [] }, /^command: the command is empty$/],
    [{ ...plain, command: ['a\0b'] }, /^command\.0: has a NUL in it$/],
    [{ ...plain, rootfs: 'relative' }, /^rootfs: "relative" is not an absolute path$/],
    [{ ...plain, rootfs: '/a\0' }, /^rootfs: "\/a\\u0000" is not an absolute path$/],
    [{ ...plain, cwd: '.' }, /^cwd: "\." is not an absolute path$/],
    [{ ...plain, name: '' }, /^name: "" is not a name: /],
    [{ ...plain, name: '-a' }, /^name: "-a" is not a name: /],
    [{ ...plain, name: 'a/b' }, /^name: "a\/b" is not a name: /],
    [{ ...plain, name: 'a\n' }, /^name: "a\\n" is not a name: /],
    [{ ...plain, name: 'x'.repeat(129) }, /^name: "x{97,99}[^x]* is not a name|^name: "x+ is not a name/],
    [{ ...plain, hostname: 'a_b' }, /^hostname: "a_b" is not a host name/],
    [{ ...plain, hostname: 'a-' }, /^hostname: "a-" is not a host name/],
    [{ ...plain, hostname: 'a..b' }, /^hostname: "a\.\.b" is not a host name/],
    [{ ...plain, hostname: 'x'.repeat(65) }, /^hostname: /],
    [{ ...plain, env: ['=x'] }, /^env\.0: "=x" is not of the form NAME=value$/],
    [{ ...plain, env: ['A=1', 'B'] }, /^env\.1: "B" is not of the form NAME=value$/],
    [{ ...plain, env: ['A=\0'] }, /^env\.0: /],
    [{ ...plain, user: 'a b' }, /^user: "a b" is not a user: USER or USER:GROUP, by names or numbers$/],
    [{ ...plain, user: '1:' }, /^user: "1:" is not a user/],
    [{ ...plain, mounts: ['/a'] }, /^mounts\.0: invalid volume "\/a": volumes without a source are not supported; /],
    [{ ...plain, mounts: ['a:/b'] }, /^mounts\.0: invalid volume "a:\/b": named volumes are not supported; /],
    [{ ...plain, mounts: ['./a:/b'] }, /^mounts\.0: invalid mount "\.\/a:\/b": the source .* is not an absolute path$/],
    [{ ...plain, mounts: ['/a:b'] }, /^mounts\.0: .*the target "b" is not an absolute path$/],
    [{ ...plain, mounts: ['/a:/b:rx'] }, /^mounts\.0: .*unknown option "rx"/],
    [{ ...plain, mounts: [{ type: 'bind', source: '/a', target: '/' }] }, /^mounts\.0: .*the target cannot be \/$/],
    [{ ...plain, mounts: [{ type: 'tmpfs', target: '/t', options: ['size=x'] }] }, /invalid value "x" of size$/],
    [{ ...plain, mounts: ['/a:/b', '/c:/b/'] }, /^mounts: \/b is the target of two mounts$/],
    [{ ...plain, capAdd: ['NET'] }, /^capAdd\.0: invalid capability "NET"/],
    [{ ...plain, sysctls: { 'vm.swappiness': '1' } }, /^sysctls: sysctl "vm\.swappiness" is not allowed/],
    [
      { ...plain, sysctls: { 'net.ipv4.ip_forward': '1' }, network: { mode: 'container', container: 'a' } },
      /^the sysctl net\.ipv4\.ip_forward cannot be combined with --network=container$/,
    ],
    [{ ...plain, stopSignal: 'SIGFOO' }, /^stopSignal: unknown signal "SIGFOO"/],
    [{ ...plain, restart: { policy: 'always', maxRetries: 1 } }, /^restart: only the restart policy on-failure/],
    [{ ...plain, restart: { policy: 'always' }, autoRemove: true }, /^--rm cannot be combined with --restart/],
    [{ ...plain, ulimits: [{ name: 'nofile', soft: 2, hard: 1 }] }, /the soft limit exceeds the hard one$/],
    [{ ...plain, pidFile: 'pid' }, /^pidFile: the pid file "pid" is not an absolute path$/],
    [{ ...plain, dns: ['example.org'] }, /^dns\.0: "example\.org" is not an IP address$/],
    [
      { ...plain, addHosts: [{ host: 'h', ip: 'gateway' }] },
      /^addHosts\.0\.ip: "gateway" is not an IP address or host-gateway$/,
    ],
    [{ ...plain, publish: [{ ...port, protocol: 'sctp' }] }, /^publish\.0\.protocol: /],
    [{ ...plain, publish: [{ ...port, containerPort: 0 }] }, /^publish\.0\.containerPort: /],
    [{ ...plain, publish: [{ ...port, hostPort: 65_536 }] }, /^publish\.0\.hostPort: /],
    [
      { ...plain, publish: [{ ...port, hostIP: 'localhost' }] },
      /^publish\.0\.hostIP: "localhost" is not an IP address/,
    ],
    [{ ...plain, network: { mode: 'bridge' } }, /^network/],
    [{ ...plain, network: { mode: 'ns', path: 'x' } }, /^network\.path: "x" is not an absolute path$/],
    [
      { ...plain, network: { mode: 'networks', networks: [{ network: 'a' }, { network: 'b' }, { network: 'a' }] } },
      /^the network a is named twice$/,
    ],
    [
      { ...plain, network: { mode: 'networks', networks: [{ network: 'a', mac: '01:00:00:00:00:01' }] } },
      /^network\.networks\.0\.mac: "01:00:00:00:00:01" is not a unicast MAC address$/,
    ],
    [
      { ...plain, network: { mode: 'none' }, publish: [port] },
      /^published ports \(-p\) cannot be combined with --network=none$/,
    ],
    [
      { ...plain, network: { mode: 'ns', path: '/n' }, publish: [port] },
      /^published ports \(-p\) cannot be combined with --network=ns$/,
    ],
    ...(['hostname', 'domainname'] as const).map((key): [unknown, RegExp] => [
      { ...plain, network: { mode: 'container', container: 'c' }, [key]: 'h' },
      /^its own host name \(--hostname\) cannot be combined with --network=container$/,
    ]),
    ...(['dns', 'dnsSearch', 'dnsOptions'] as const).map((key): [unknown, RegExp] => [
      { ...plain, network: { mode: 'container', container: 'c' }, [key]: ['192.0.2.1'] },
      /^its own DNS servers \(--dns…\) cannot be combined with --network=container$/,
    ]),
    [
      { ...plain, network: { mode: 'container', container: 'c' }, addHosts: [{ host: 'h', ip: '::1' }] },
      /^its own hosts \(--add-host\) cannot be combined with --network=container$/,
    ],
  ];
  for (const [request, what] of refused) {
    it(`rejects ${JSON.stringify(request)?.replace('"rootfs":"/rootfs","command":["true"],', '').slice(0, 80)}`, () => {
      assert.match(problem(parseContainerRequest, request), what);
    });
  }
});

describe('requests for networks, attachments and programs', () => {
  it('have a value for everything', () => {
    assert.deepEqual(parseNetworkRequest({ name: 'a' }), {
      name: 'a',
      driver: 'bridge',
      subnets: [],
      gateways: [],
      ipRanges: [],
      auxAddresses: [],
      egress: [],
      ipv4: true,
      ipv6: false,
      force: false,
      internal: false,
      icc: true,
      labels: {},
      options: {},
      ipamDriver: 'default',
    });
    assert.deepEqual(parseExecRequest({ command: ['a'] }), {
      command: ['a'],
      env: [],
      tty: false,
      stdin: false,
      detach: false,
    });
    assert.deepEqual(parseAttachmentRequest({ network: 'a' }), { network: 'a' });
    assert.equal(parseName('a'), 'a');
  });

  for (const [parse, request, what] of [
    [parseNetworkRequest, {}, /^name: /],
    [parseNetworkRequest, { name: '../x' }, /^name: "\.\.\/x" is not a name: /],
    [
      parseNetworkRequest,
      { name: 'a', gateways: ['10.0.0.0/24'] },
      /^gateways\.0: "10\.0\.0\.0\/24" is not an IP address$/,
    ],
    [
      parseNetworkRequest,
      { name: 'a', auxAddresses: ['10.0.0.1'] },
      /^auxAddresses\.0: .* is not of the form NAME=ADDRESS$/,
    ],
    [
      parseNetworkRequest,
      { name: 'a', auxAddresses: ['x=y'] },
      /^auxAddresses\.0: "x=y" is not of the form NAME=ADDRESS$/,
    ],
    [parseNetworkRequest, { name: 'a', labels: { '': 'x' } }, /^labels/],
    [parseNetworkRequest, { name: 'a', options: { mtu: 1400 } }, /^options\.mtu: /],
    [parseExecRequest, { command: [] }, /^command: the command is empty$/],
    [parseExecRequest, { command: ['a'], cwd: 'x' }, /^cwd: "x" is not an absolute path$/],
    [parseAttachmentRequest, { network: 'a', ip: 'fd00::1' }, /^ip: "fd00::1" is not an IPv4 address$/],
    [parseAttachmentRequest, { network: 'a', ip6: '10.0.0.1' }, /^ip6: "10\.0\.0\.1" is not an IPv6 address$/],
    [parseAttachmentRequest, { network: 'a', aliases: ['a b'] }, /^aliases\.0: "a b" is not the name of a host/],
    [parseName, null, /./],
    [parseName, 'a b', /^"a b" is not a name: /],
  ] as const) {
    it(`rejects ${JSON.stringify(request)}`, () => {
      assert.match(problem(parse, request), what);
    });
  }
});

describe('published ports as ranges', () => {
  const ranges = (...texts: string[]) =>
    joined(texts.map(parsePublish)).map(({ count, host: { end, ip, port }, target, transport }) =>
      [ip, end === undefined ? port : `${port}-${end}`, target.port, transport, count].join(' '),
    );

  for (const [texts, expected] of [
    [[], []],
    [['8080:80'], [' 8080 80 tcp 1']],
    [['1000-1999:2000-2999'], [' 1000 2000 tcp 1000']],
    // What was written one by one, but follows.
    [['8080:80', '8081:81', '8082:82'], [' 8080 80 tcp 3']],
    [
      ['8080:80', '8082:82'],
      [' 8080 80 tcp 1', ' 8082 82 tcp 1'],
    ],
    [
      ['8080:80', '8081:80'],
      [' 8080 80 tcp 1', ' 8081 80 tcp 1'],
    ],
    [
      ['8080:80', '8081:81/udp'],
      [' 8080 80 tcp 1', ' 8081 81 udp 1'],
    ],
    [
      ['8080:80', '127.0.0.1:8081:81'],
      [' 8080 80 tcp 1', '127.0.0.1 8081 81 tcp 1'],
    ],
    [
      ['8081:81', '8080:80'],
      [' 8081 81 tcp 1', ' 8080 80 tcp 1'],
    ],
    // Any free ones, each for the next port of the container.
    [['80-82'], [' 0 80 tcp 3']],
    [
      ['80', '82', '8083:83'],
      [' 0 80 tcp 1', ' 0 82 tcp 1', ' 8083 83 tcp 1'],
    ],
    // The first free one of some.
    [
      ['3000-3005:80', '3006:81'],
      [' 3000-3005 80 tcp 1', ' 3006 81 tcp 1'],
    ],
    [
      ['3000:79', '3001-3005:80'],
      [' 3000 79 tcp 1', ' 3001-3005 80 tcp 1'],
    ],
    [['1-65535:1-65535'], [' 1 1 tcp 65535']],
  ] as const) {
    it(`are ${texts.join(', ') || 'none'}`, () => {
      assert.deepEqual(ranges(...texts), expected);
    });
  }

  it('leave what was requested as it is', () => {
    const asked = ['8080:80', '8081:81'].map(parsePublish);
    const copy = structuredClone(asked);
    joined(asked);
    assert.deepEqual(asked, copy);
  });
});

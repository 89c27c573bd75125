import assert from 'node:assert/strict';
import { chmodSync, linkSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type HostsContainer,
  type HostsEntry,
  HostsError,
  peerLines,
  type RenderHostsOptions,
  renderHosts,
  writeInPlace,
} from '../../../../../../child/container/network/name-files/hosts.js';
import { tempDir } from '../../../../../support/index.js';

const render = (options: Partial<RenderHostsOptions> = {}): string =>
  renderHosts({ current: '', entries: [], extraHosts: [], ...options });

/** The region with these lines in it. */
const region = (...lines: string[]): string =>
  `${[
    '# <rootless-net>',
    '127.0.0.1\tlocalhost localhost.localdomain',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    ...lines,
    '# </rootless-net>',
  ].join('\n')}\n`;

describe('a hosts file', () => {
  const entries: HostsEntry[] = [
    { ip: '10.4.1.10', names: ['b'] },
    { ip: 'fd00::2', names: ['a'] },
    { ip: '10.4.1.9', names: ['z'] },
    { ip: '10.4.1.9', names: ['y', 'y.net1'] },
  ];
  const lines = ['10.4.1.9\ty y.net1', '10.4.1.9\tz', '10.4.1.10\tb', 'fd00::2\ta'];

  it('has localhost, extra hosts as given, and entries in one order', () => {
    assert.equal(render(), region());
    const extraHosts = [
      { host: 'db', ip: '192.168.1.9' },
      { host: 'db', ip: '2001:db8::1' },
      { host: 'api', ip: '10.0.0.1' },
      { host: 'db', ip: '10.0.0.2' },
    ];
    const expected = region('192.168.1.9\tdb', '2001:db8::1\tdb', '10.0.0.1\tapi', '10.0.0.2\tdb', ...lines);
    assert.equal(render({ entries, extraHosts }), expected);
    assert.equal(render({ entries: entries.toReversed(), extraHosts }), expected);
  });

  it('has the lines of its own before all others, at any address', () => {
    const own = [
      { ip: 'fd00::9', names: ['z'], own: true },
      { ip: '10.4.1.99', names: ['z'], own: true },
    ];
    const expected = region('10.4.1.99\tz', 'fd00::9\tz', ...lines);
    assert.equal(render({ entries: [...entries, ...own] }), expected);
    assert.equal(render({ entries: [...own.toReversed(), ...entries.toReversed()] }), expected);
  });

  it('has no line without names', () => {
    assert.equal(render({ entries: [{ ip: '10.4.1.2', names: [] }] }), region());
  });

  const user = '# mine\n127.0.0.1 localhost\n\n10.9.9.9 other # note\r\n  #also mine\n';
  const kept: [what: string, current: string, expected: string][] = [
    ['behind what was there', user, `${user}${region(...lines)}`],
    ['behind a last line that was not ended', '10.9.9.9 other', `10.9.9.9 other\n${region(...lines)}`],
    ['in the place of the old ones, at the end', `${user}${region('10.4.1.2\told')}`, `${user}${region(...lines)}`],
    [
      'in the place of the old ones, in the middle',
      `1.1.1.1 one\n${region('10.4.1.2\told')}2.2.2.2 two\n`,
      `1.1.1.1 one\n${region(...lines)}2.2.2.2 two\n`,
    ],
    [
      'in the place of the first of several',
      `1.1.1.1 one\n${region()}2.2.2.2 two\n${region()}3.3.3.3 three`,
      `1.1.1.1 one\n${region(...lines)}2.2.2.2 two\n3.3.3.3 three`,
    ],
    ['where the end is missing', '1.1.1.1 one\n# <rootless-net>\n10.4.1.2 old\n', `1.1.1.1 one\n${region(...lines)}`],
    ['where the begin is missing', '1.1.1.1 one\n# </rootless-net>\n', `1.1.1.1 one\n${region(...lines)}`],
    [
      'where there are blanks around the marks',
      ' # <rootless-net> \r\n10.4.1.2 old\n# </rootless-net>\r\n1.1.1.1 one\n',
      `${region(...lines)}1.1.1.1 one\n`,
    ],
    [
      'beside lines that only look like marks',
      '# <rootless-net> 1\n# <nerdctl>\n1.1.1.1 one\n# </nerdctl>\n',
      `# <rootless-net> 1\n# <nerdctl>\n1.1.1.1 one\n# </nerdctl>\n${region(...lines)}`,
    ],
  ];
  for (const [what, current, expected] of kept) {
    it(`has them ${what}, and the user's lines as they were`, () => {
      assert.equal(render({ current, entries }), expected);
      assert.equal(render({ current: expected, entries }), expected, 'and again');
    });
  }

  const wrong: [options: Partial<RenderHostsOptions>, message: RegExp][] = [
    [{ entries: [{ ip: '10.4.1', names: ['a'] }] }, /^"10\.4\.1" is invalid in a hosts file: expected an IP address$/],
    [{ extraHosts: [{ host: 'a', ip: 'host-gateway' }] }, /^"host-gateway" is invalid in a hosts file/],
    [
      { entries: [{ ip: '10.4.1.2', names: ['a', 'b\n6.6.6.6 c'] }] },
      /^"b\\n6\.6\.6\.6 c" for 10\.4\.1\.2 is invalid in a hosts file: names must not contain blanks or "#"$/,
    ],
    [{ extraHosts: [{ host: '', ip: '10.4.1.2' }] }, /^"" for 10\.4\.1\.2 is invalid/],
    [{ extraHosts: [{ host: '#a', ip: '10.4.1.2' }] }, /^"#a" for 10\.4\.1\.2 is invalid/],
  ];
  for (const [options, message] of wrong) {
    it(`is invalid with ${JSON.stringify(options)}`, () => {
      assert.throws(
        () => render(options),
        (error: Error) => error instanceof HostsError && message.test(error.message),
      );
    });
  }
});

describe('names of containers', () => {
  const network = (name: string, ips: string[], aliases: string[] = []) => ({ name, ips, aliases });
  const web: HostsContainer = {
    id: '1',
    name: 'web',
    hostname: 'web-host',
    domainname: 'example.org',
    networks: [network('net1', ['10.4.1.2', 'fd00:1::2'], ['www']), network('bridge', ['10.4.0.2'], ['w'])],
  };
  const db: HostsContainer = {
    id: '2',
    name: 'db',
    hostname: 'db',
    networks: [network('net1', ['10.4.1.3'], ['db', 'sql']), network('net2', ['10.4.2.3'])],
  };
  const lines = (self: HostsContainer, ...peers: HostsContainer[]): string[] =>
    peerLines({ self, peers }).map(({ ip, names }) => `${ip} ${names.join(' ')}`);

  it('are its own: host name with domain, name and aliases, with the network behind unless it is the default', () => {
    assert.deepEqual(lines(web), [
      '10.4.1.2 web-host.example.org web-host web-host.net1 web web.net1 www www.net1',
      'fd00:1::2 web-host.example.org web-host web-host.net1 web web.net1 www www.net1',
      '10.4.0.2 web-host.example.org web-host web w',
    ]);
  });

  it('are those of containers in the same network, each once, at the addresses there', () => {
    assert.deepEqual(lines(db, web, db), [
      '10.4.1.3 db db.net1 sql sql.net1',
      '10.4.2.3 db db.net2',
      '10.4.1.2 web-host.example.org web web.net1 web-host web-host.net1 www www.net1',
      'fd00:1::2 web-host.example.org web web.net1 web-host web-host.net1 www www.net1',
    ]);
  });

  it('are not those of containers in other networks', () => {
    const other = { ...db, id: '3', networks: [network('net3', ['10.4.3.2'])] };
    assert.deepEqual(lines(other, web, db), ['10.4.3.2 db db.net3']);
    assert.deepEqual(lines({ ...other, networks: [] }, web, db), []);
    assert.deepEqual(lines({ ...other, networks: [network('net1', [])] }, { ...db, networks: [] }), []);
  });

  it('are marked if they are its own', () => {
    const own = (self: HostsContainer, ...peers: HostsContainer[]) =>
      peerLines({ self, peers }).map((entry) => entry.own);
    assert.deepEqual(own(db, web, db), [true, true, false, false]);
  });

  it('can be missing', () => {
    assert.deepEqual(lines({ ...web, hostname: '', networks: [network('net1', ['10.4.1.2'])] }), [
      '10.4.1.2 web web.net1',
    ]);
    assert.deepEqual(lines({ ...db, name: '', domainname: '', networks: [network('bridge', ['10.4.0.3'])] }), [
      '10.4.0.3 db',
    ]);
  });

  it('can be the same for several containers', () => {
    const replica = (id: string, ip: string) => ({
      ...db,
      id,
      name: id,
      hostname: id,
      networks: [network('net1', [ip], ['app'])],
    });
    assert.deepEqual(lines(replica('a', '10.4.1.5'), replica('b', '10.4.1.4')), [
      '10.4.1.5 a a.net1 app app.net1',
      '10.4.1.4 b b.net1 app app.net1',
    ]);
  });
});

describe('writeInPlace', () => {
  it('keeps the file that is there, whether the text gets longer or shorter', async () => {
    const path = join(tempDir(), 'hosts');
    const mounted = `${path}.mounted`;
    writeFileSync(path, 'some text\n');
    chmodSync(path, 0o600);
    linkSync(path, mounted);
    for (const text of ['more text than before: ä\n', 'less\n', '']) {
      await writeInPlace(path, text);
      assert.equal(readFileSync(mounted, 'utf8'), text);
    }
    assert.equal(statSync(path).ino, statSync(mounted).ino);
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  it('makes a file that all can read', async () => {
    const path = join(tempDir(), 'hosts');
    const umask = process.umask(0o077);
    try {
      await writeInPlace(path, 'text\n');
    } finally {
      process.umask(umask);
    }
    assert.equal(readFileSync(path, 'utf8'), 'text\n');
    assert.equal(statSync(path).mode & 0o777, 0o644);
  });

  it('reports why it cannot', async () => {
    const path = join(tempDir(), 'hosts');
    mkdirSync(path);
    for (const wrong of [path, join(path, 'missing', 'hosts')]) {
      await assert.rejects(
        writeInPlace(wrong, 'text\n'),
        (error: Error) => error instanceof HostsError && /^cannot write \/.*hosts: E(ISDIR|NOENT)/.test(error.message),
      );
    }
  });
});

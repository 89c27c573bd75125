import { encodePolicy } from '../../../../protocol/egress/encode.js';
import { parseRule } from '../../../../protocol/egress/grammar.js';
import { expectSteps, load } from './policy.js';

const OPEN = '93.184.216.34';
const OPEN6 = '2606:2800:21f::1';

describe('a policy of addresses', () => {
  it('allows everything where there is none', async () => {
    await expectSteps(
      [`decide tcp ${OPEN} 80 0`, 'allow -1'],
      ['decide tcp 10.0.0.1 80 0', 'allow -1'],
      ['query anything.example 1', 'allow -1'],
      load('allow @none'),
      [`decide tcp ${OPEN} 80 0`, 'deny -1 no rule allows it'],
      ['clear'],
      [`decide tcp ${OPEN} 80 0`, 'allow -1'],
    );
  });

  it('denies what no rule allows as soon as one allows something', async () => {
    await expectSteps(
      load('allow 93.184.0.0/16:443', 'allow 1.1.1.1', 'allow [2606:2800::/32]:22-23'),
      [`decide tcp ${OPEN} 443 0`, 'allow 0'],
      [`decide udp ${OPEN} 443 0`, 'allow 0'],
      [`decide tcp ${OPEN} 80 0`, 'deny -1'],
      [`decide icmp ${OPEN} 0 0`, 'deny -1'],
      ['decide tcp 93.185.0.1 443 0', 'deny -1'],
      ['decide icmp 1.1.1.1 0 0', 'allow 1'],
      ['decide udp 1.1.1.1 53 0', 'allow 1'],
      [`decide tcp ${OPEN6} 23 0`, 'allow 2'],
      [`decide tcp ${OPEN6} 24 0`, 'deny -1'],
      ['decide tcp ::ffff:1.1.1.1 1 0', 'allow 1'],
    );
  });

  it('allows all else where rules deny only', async () => {
    await expectSteps(
      load('deny 93.184.0.0/16', 'deny udp:*:443', 'deny icmp'),
      [`decide tcp ${OPEN} 443 0`, 'deny 0 a rule denies it'],
      ['decide tcp 1.1.1.1 443 0', 'allow -1'],
      ['decide udp 1.1.1.1 443 0', 'deny 1'],
      ['decide icmp 1.1.1.1 0 0', 'deny 2'],
      ['query anything.example 1', 'allow -1'],
      ['decide tcp 10.0.0.1 443 0', 'deny -1 it is a private address, which no rule lists'],
    );
  });

  it('denies what a rule denies, whatever others allow, in any order', async () => {
    await expectSteps(
      load('allow 10.1.2.3', 'deny 10.0.0.0/8:22', 'allow 10.1.0.0/16', 'allow *'),
      ['decide tcp 10.1.2.3 22 0', 'deny 1'],
      ['decide tcp 10.1.2.3 23 0', 'allow 0'],
      ['decide tcp 10.1.9.9 23 0', 'allow 2'],
      ['decide tcp 10.2.0.1 23 0', 'deny -1'],
      load('allow *', 'deny *'),
      [`decide tcp ${OPEN} 80 0`, 'deny 1'],
      ['query a.example 1', 'deny 1'],
      load('allow *', 'deny *:80'),
      ['query a.example 1', 'allow 0'],
      [`decide tcp ${OPEN} 80 0`, 'deny 1'],
    );
  });

  it('keeps protocols apart', async () => {
    await expectSteps(
      load('allow tcp', 'allow udp:*:123', 'allow icmp:1.1.1.1'),
      [`decide tcp ${OPEN} 9999 0`, 'allow 0'],
      [`decide udp ${OPEN} 123 0`, 'allow 1'],
      [`decide udp ${OPEN} 124 0`, 'deny -1'],
      [`decide icmp ${OPEN} 0 0`, 'deny -1'],
      ['decide icmp 1.1.1.1 0 0', 'allow 2'],
    );
  });
});

describe('special ranges under a policy', () => {
  const cases: Record<string, string> = {
    '10.0.0.1': 'a private address',
    '172.31.255.255': 'a private address',
    '192.168.1.1': 'a private address',
    '100.64.0.1': 'a private address',
    'fd12::1': 'a private address',
    '127.0.0.1': 'a loopback address',
    '::1': 'a loopback address',
    '169.254.1.1': 'a link-local address',
    'fe80::1': 'a link-local address',
    '169.254.169.254': 'the metadata address of a cloud',
    'fd00:ec2::254': 'the metadata address of a cloud',
    '168.63.129.16': 'the metadata address of a cloud',
    '224.0.0.251': 'a multicast address',
    'ff02::fb': 'a multicast address',
    '0.0.0.0': 'a reserved address',
    '255.255.255.255': 'a reserved address',
    '198.18.0.1': 'a reserved address',
    '::': 'a reserved address',
    '::10.0.0.1': 'a reserved address',
    '2002:a00:1::1': 'a reserved address',
    '::ffff:10.0.0.1': 'a private address',
    '64:ff9b::a00:1': 'a private address',
    '64:ff9b::a9fe:a9fe': 'the metadata address of a cloud',
    '198.51.100.7': 'an address of the host',
    '64:ff9b::909:909': 'an address of the host',
    [OPEN6]: 'an address of the host',
  };

  it('are closed, whatever else is open', async () => {
    await expectSteps(
      ['host 198.51.100.7 9.9.9.9 2606:2800:21f::1'],
      load('allow @public', 'allow 0.0.0.0/0', 'allow ::/0', 'allow 8.0.0.0/6'),
      ...Object.entries(cases).map(
        ([ip, range]) => [`decide tcp ${ip} 80 0`, `deny -1 it is ${range}, which no rule lists`] as const,
      ),
      [`decide tcp ${OPEN} 80 0`, 'allow 1'],
      ['decide tcp 64:ff9b::5db8:d822 80 0', 'allow 2'],
      ['decide tcp 11.255.255.255 80 0', 'allow 3'],
      load('deny 1.1.1.1'),
      ...Object.keys(cases).map((ip) => [`decide tcp ${ip} 80 0`, 'deny -1'] as const),
    );
  });

  it('are opened by a network inside of them', async () => {
    await expectSteps(
      load('allow 10.0.0.0/8', 'allow 192.168.1.0/24:22', 'allow 169.254.0.0/16', 'allow fd00::/8'),
      ['decide tcp 10.9.9.9 1 0', 'allow 0'],
      ['decide tcp 192.168.1.7 22 0', 'allow 1'],
      ['decide tcp 192.168.2.7 22 0', 'deny -1'],
      ['decide tcp 169.254.1.1 80 0', 'allow 2'],
      ['decide tcp fd12::1 80 0', 'allow 3'],
      // Each has a range of its own, which has to be listed itself.
      ['decide tcp 169.254.169.254 80 0', 'deny -1'],
      ['decide tcp fd00:ec2::254 80 0', 'deny -1'],
      ['host 10.9.9.9'],
      ['decide tcp 10.9.9.9 1 0', 'deny -1'],
      load('allow 169.254.169.254:80', 'allow 10.9.9.9'),
      ['decide tcp 169.254.169.254 80 0', 'allow 0'],
      ['decide tcp 10.9.9.9 1 0', 'allow 1'],
    );
  });

  it('are the host’s by that word', async () => {
    await expectSteps(
      ['host 10.0.2.2 192.168.1.5'],
      load('allow host:5432', 'deny host:22', 'allow 192.168.1.5'),
      ['decide tcp 10.0.2.2 5432 0', 'allow 0'],
      ['decide tcp 10.0.2.2 80 0', 'deny -1'],
      ['decide tcp 192.168.1.5 80 0', 'allow 2'],
      ['decide tcp 192.168.1.5 22 0', 'deny 1'],
      ['decide tcp 192.168.1.6 5432 0', 'deny -1'],
      ['host'],
      ['decide tcp 10.0.2.2 5432 0', 'deny -1'],
    );
  });
});

describe('a policy of names', () => {
  it('answers queries for them, and for nothing else', async () => {
    await expectSteps(
      load('allow registry.npmjs.org', 'allow *.github.com:443', 'deny gist.github.com', 'deny api.github.com:22'),
      ['query registry.npmjs.org 1', 'allow 0'],
      ['query Registry.NPMjs.org. 28', 'allow 0'],
      ['query a.b.github.com 65', 'allow 1'],
      ['query github.com 1', 'deny -1 no rule allows it'],
      ['query agithub.com 1', 'deny -1'],
      ['query gist.github.com 1', 'deny 2'],
      ['query api.github.com 1', 'allow 1'],
      ['query evil.registry.npmjs.org 1', 'deny -1'],
      ['query org 1', 'deny -1'],
      ['query . 2', 'deny -1'],
      ['query _https._tcp.registry.npmjs.org 33', 'allow 0'],
      ['query _x._https._tcp.registry.npmjs.org 33', 'deny -1'],
      ['query x._tcp.registry.npmjs.org 33', 'deny -1'],
      ['query _x.gist.github.com 16', 'deny 2'],
      ['query registry.npmjs.org 255', 'deny -1 a query of this type is not for records of a name'],
      ['query registry.npmjs.org 252', 'deny -1'],
      ['query 1.0.0.10.in-addr.arpa 12', 'deny -1'],
    );
  });

  it('answers all queries where any address is open, or dns is', async () => {
    for (const rule of ['@public', '@dns-only', 'dns', '*', 'tcp', '*:443', 'udp:*:123']) {
      await expectSteps(load(`allow ${rule}`), ['query a.example 255', 'allow 0']);
    }
    for (const rule of ['@none', 'icmp', 'icmp:*', '10.0.0.0/8', 'host', 'b.example']) {
      await expectSteps(load(`allow ${rule}`), ['query a.example 1', 'deny -1']);
    }
    await expectSteps(load('allow @public', 'deny dns'), ['query a.example 1', 'deny 1']);
    await expectSteps(load('allow @dns-only'), [`decide tcp ${OPEN} 80 0`, 'deny -1']);
  });

  it('allows the addresses that were answers', async () => {
    await expectSteps(
      load('allow a.example:22-25', 'allow udp:b.example', 'allow c.example'),
      [`decide tcp ${OPEN} 22 0`, 'deny -1'],
      [`learn A.example. 60 0 ${OPEN} ${OPEN6}`],
      ['learn b.example 60 0 1.1.1.1'],
      ['learn c.example 60 0 1.0.0.1'],
      [`decide tcp ${OPEN} 22 0`, 'allow 0'],
      [`decide tcp ${OPEN6} 25 0`, 'allow 0'],
      [`decide tcp ${OPEN} 26 0`, 'deny -1'],
      [`decide icmp ${OPEN} 0 0`, 'deny -1'],
      ['decide udp 1.1.1.1 5000 0', 'allow 1'],
      ['decide tcp 1.1.1.1 5000 0', 'deny -1'],
      ['decide icmp 1.0.0.1 0 0', 'allow 2'],
    );
  });

  it('does not open a special range by a name that leads there', async () => {
    await expectSteps(
      ['host 198.51.100.7'],
      load('allow rebind.example', 'allow db.example', 'allow 10.20.0.0/16:5432'),
      ['learn rebind.example 60 0 10.0.0.1 169.254.169.254 127.0.0.1 198.51.100.7 fd00::1'],
      ['learn db.example 60 0 10.20.0.9'],
      ['decide tcp 10.0.0.1 80 0', 'deny -1 it is a private address, which no rule lists'],
      ['decide tcp 169.254.169.254 80 0', 'deny -1 it is the metadata address of a cloud, which no rule lists'],
      ['decide tcp 127.0.0.1 22 0', 'deny -1'],
      ['decide tcp 198.51.100.7 22 0', 'deny -1'],
      ['decide udp fd00::1 22 0', 'deny -1'],
      ['decide tcp 10.20.0.9 5432 0', 'allow 2'],
    );
  });

  it('denies ports that hide names, unless a rule lists address and port', async () => {
    const hidden = 'names cannot be checked at this port, and no rule lists address and port';
    await expectSteps(
      load('allow a.example', 'allow *', 'allow 1.0.0.0/24', 'allow udp:1.1.1.1:53'),
      ['learn a.example 60 0 93.184.216.34'],
      [`decide udp ${OPEN} 443 0`, `deny -1 ${hidden}`],
      [`decide tcp ${OPEN} 53 0`, `deny -1 ${hidden}`],
      [`decide udp ${OPEN} 53 0`, 'deny -1'],
      [`decide tcp ${OPEN} 853 0`, 'deny -1'],
      [`decide udp ${OPEN} 853 0`, 'deny -1'],
      ['decide udp 1.0.0.1 53 0', 'deny -1'],
      ['decide udp 1.1.1.1 53 0', 'allow 3'],
      ['decide tcp 1.1.1.1 53 0', 'deny -1'],
      [`decide icmp ${OPEN} 53 0`, 'allow 1'],
      load('allow @public'),
      [`decide udp ${OPEN} 443 0`, 'allow 0'],
      [`decide udp ${OPEN} 53 0`, 'allow 0'],
      load('deny a.example'),
      [`decide udp ${OPEN} 443 0`, `deny -1 ${hidden}`],
    );
  });
});

describe('names in first bytes', () => {
  const noName = 'deny -1 the client has not sent the name of a server';
  const otherName = 'deny -1 the name that the client has sent is not allowed, or not a name of this address';

  it('have to be allowed, and names of the address', async () => {
    await expectSteps(
      load('allow a.example', 'allow *.b.example:443'),
      [`learn a.example 60 0 ${OPEN}`],
      ['learn x.b.example 60 0 1.1.1.1'],
      [`decide tcp ${OPEN} 443 0`, 'peek 0'],
      [`peeked ${OPEN} 443 0 tls a.example`, 'allow 0'],
      [`peeked ${OPEN} 443 0 tls x.b.example`, otherName],
      [`peeked ${OPEN} 443 0 tls other.example`, otherName],
      [`peeked ${OPEN} 443 0 tls`, noName],
      [`peeked ${OPEN} 443 0 other`, noName],
      [`peeked ${OPEN} 443 0 http a.example`, 'allow 0'],
      [`decide tcp ${OPEN} 80 0`, 'peek 0'],
      [`peeked ${OPEN} 80 0 http a.example`, 'allow 0'],
      [`peeked ${OPEN} 80 0 http2`, noName],
      ['decide tcp 1.1.1.1 443 0', 'peek 1'],
      ['peeked 1.1.1.1 443 0 tls x.b.example', 'allow 1'],
      ['peeked 1.1.1.1 443 0 tls y.b.example', otherName],
      ['decide tcp 1.1.1.1 80 0', 'deny -1'],
    );
  });

  it('count at other ports of shared servers where they are sent', async () => {
    await expectSteps(
      load('allow a.example'),
      [`learn a.example 60 0 ${OPEN}`],
      [`decide tcp ${OPEN} 8443 0`, 'peek 0'],
      [`peeked ${OPEN} 8443 0 tls a.example`, 'allow 0'],
      [`peeked ${OPEN} 8443 0 tls other.example`, otherName],
      [`peeked ${OPEN} 8443 0 other`, 'allow 0'],
      [`decide tcp ${OPEN} 5432 0`, 'allow 0'],
    );
  });

  it('are not looked at where the address is allowed', async () => {
    await expectSteps(
      load('allow a.example', `allow ${OPEN}`),
      [`learn a.example 60 0 ${OPEN}`],
      [`decide tcp ${OPEN} 443 0`, 'allow 1'],
    );
  });

  it('are denied by rules, at allowed addresses, too', async () => {
    await expectSteps(
      load('deny evil.example', 'deny *.ads.example:443', 'deny ssh.example:22'),
      [`learn ssh.example 60 0 ${OPEN}`],
      ['query evil.example 1', 'deny 0'],
      ['query x.ads.example 1', 'allow -1'],
      [`decide tcp ${OPEN} 443 0`, 'peek -1'],
      [`peeked ${OPEN} 443 0 tls evil.example`, 'deny 0'],
      [`peeked ${OPEN} 443 0 tls x.ads.example`, 'deny 1'],
      [`peeked ${OPEN} 80 0 http x.ads.example`, 'allow -1'],
      [`peeked ${OPEN} 443 0 tls`, 'allow -1'],
      [`peeked ${OPEN} 443 0 other`, 'allow -1'],
      [`decide tcp ${OPEN} 22 0`, 'deny 2'],
      [`decide tcp ${OPEN} 23 0`, 'allow -1'],
      load('allow *.github.com', 'deny gist.github.com'),
      [`learn api.github.com 60 0 ${OPEN}`],
      [`peeked ${OPEN} 443 0 tls gist.github.com`, 'deny 1'],
      [`peeked ${OPEN} 443 0 tls api.github.com`, 'allow 0'],
    );
  });
});

describe('counters of a policy', () => {
  it('are of each rule, and of the default', async () => {
    const zero = { allowed: 0, denied: 0, names: 0, bytesOut: 0, bytesIn: 0 };
    await expectSteps(
      load('allow a.example', 'deny 1.1.1.1'),
      ['query a.example 1'],
      ['query b.example 1'],
      [`learn a.example 60 0 ${OPEN}`],
      [`decide tcp ${OPEN} 443 0`, 'peek 0'],
      [`peeked ${OPEN} 443 0 tls a.example`, 'allow 0'],
      [`decide tcp ${OPEN} 22 0`, 'allow 0'],
      ['decide tcp 1.1.1.1 22 0', 'deny 1'],
      ['decide tcp 1.0.0.1 22 0', 'deny -1'],
      ['bytes 0 100 7'],
      ['bytes 0 1 1'],
      ['bytes 9 1 1'],
      ['counters 0', { ...zero, allowed: 2, names: 1, bytesOut: 101, bytesIn: 8 }],
      ['counters 1', { ...zero, denied: 1 }],
      ['counters -1', { ...zero, denied: 1, names: 1 }],
      load('allow a.example'),
      ['counters 0', zero],
      // Names stay.
      [`decide tcp ${OPEN} 22 0`, 'allow 0'],
    );
  });
});

describe('the form of a policy', () => {
  it('is refused where it is not what JavaScript writes, and then nothing changes', async () => {
    const rules = ['a.example:80', '*.b.example', '10.0.0.0/8', '[fd00::/8]:1-2', 'host', '@none', '@public'];
    const good = encodePolicy(rules.map((rule) => parseRule('allow', rule, '')));
    const with_ = (at: number, value: number) => {
      const bytes = Buffer.from(good);
      bytes[at] = value;
      return bytes;
    };
    const bad = [
      Buffer.alloc(0),
      ...Array.from({ length: good.length - 1 }, (_, length) => good.subarray(0, length)),
      Buffer.concat([good, Buffer.from([0])]),
      with_(0, 2),
      with_(1, 2),
      with_(3, 1),
      with_(6, 2),
      with_(7, 16),
      with_(8, 1),
      with_(12, 6),
      with_(14, 0x41),
      with_(14, 0x2e),
    ];
    await expectSteps(
      load('allow 1.1.1.1'),
      ...bad.map((bytes) => [`load ${bytes.toString('hex')}`, false] as const),
      ['decide tcp 1.1.1.1 80 0', 'allow 0'],
      [`load ${good.toString('hex')}`, true],
      ['decide tcp 1.1.1.1 80 0', 'allow 6'],
    );
  });

  it('may have thousands of networks and names', async () => {
    const rules = Array.from({ length: 16_000 }, (_, i) =>
      i % 2 === 0 ? `allow ${20 + (i % 60)}.${i >> 8}.${i & 255}.0/24:443` : `allow name${i}.example`,
    );
    await expectSteps(
      load(...rules, 'allow 1.1.1.1'),
      ['decide tcp 1.1.1.1 80 0', 'allow 16000'],
      ['query name15999.example 1', 'allow 15999'],
    );
  });
});

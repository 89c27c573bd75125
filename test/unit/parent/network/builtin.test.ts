import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LauncherRequestError } from '../../../../parent/namespaces/launcher.js';
import { explainGateway } from '../../../../parent/network/drivers/builtin/gateway-problem.js';
import { hasIPv6 } from '../../../../parent/network/drivers/builtin/host-ipv6.js';
import { HostResolvers, parseResolvers, parseSearch } from '../../../../parent/network/host/host-resolvers.js';
import { tempDir, waitFor } from '../../../support/index.js';

describe('the network driver builtin', () => {
  it('names what the kernel lacks', () => {
    for (const [code, step, what, fix] of [
      [
        'ENOENT',
        'load the packet filter: nat',
        /no TPROXY in nf_tables, nor NAT .*CONFIG_NFT_NAT/,
        /modprobe nft_tproxy/,
      ],
      ['ENOPROTOOPT', 'receive the mark of datagrams', /no TPROXY .*Linux 5\.19/, /modprobe nft_tproxy/],
      ['ENOTSUP', 'load the packet filter: nf_tables', /no nf_tables .*CONFIG_NF_TABLES/, /modprobe nf_tables/],
      ['EPROTONOSUPPORT', 'load the packet filter: nfnetlink', /no nf_tables/, /modprobe nf_tables/],
      ['ENOTSUP', 'make a veth pair', /no veth devices \(CONFIG_VETH\)/, /modprobe veth/],
      ['EEXIST', 'make a veth pair', /a device up0 already/, /--ifname/],
      ['EAFNOSUPPORT', 'add a routing rule', /no policy routing/, /--net=slirp4netns/],
      ['EAFNOSUPPORT', 'add a routing rule of IPv6', /no IPv6 with policy routing/, /leave out --ipv6/],
      ['ENOENT', 'switch on IPv6', /no IPv6 \(.*ipv6\.disable=1/, /leave out --ipv6/],
      ['EROFS', 'switch on IPv6', /^IPv6 is switched off in new network namespaces/, /leave out --ipv6/],
      [
        'EPERM',
        'open a packet socket',
        /refused here: by a filter of system calls \(seccomp\)/,
        /AF_PACKET.*slirp4netns/,
      ],
      ['EAFNOSUPPORT', 'open a packet socket', /no packet sockets \(CONFIG_PACKET\)/, /modprobe af_packet/],
      [
        'EROFS',
        'switch off net.ipv4.conf.all.rp_filter',
        /^net\.ipv4\.conf\.all\.rp_filter is on.*read-only/,
        /sysctl -w/,
      ],
      ['ENOSPC', 'unshare net', /user\.max_net_namespaces/, /sysctl -w user\.max_net_namespaces/],
    ] as const) {
      const problem = explainGateway(new LauncherRequestError(code, step), 'up0');
      assert.match(problem.what, what);
      assert.match(problem.fix ?? '', fix);
    }
    const other = explainGateway(new LauncherRequestError('EPERM', 'bind a packet socket'), 'eth0');
    assert.deepEqual(other, { what: 'bind a packet socket: not permitted' });
  });

  it('has IPv6 where the host has a default route, and not the network that it would have itself', () => {
    const zeros = '0'.repeat(32);
    const line = (destination: string, prefix: string, [flags, device]: readonly [string, string]) =>
      `${destination.padEnd(32, '0')} ${prefix} ${zeros} 00 ${zeros} 00000400 00000001 00000000 ${flags} ${device}\n`;
    const last = line('', '00', ['00200200', 'lo']);
    const defaultRoute = line('', '00', ['00000003', 'eth0']);
    const local = line('fe80', '40', ['00000001', 'eth0']);
    assert.equal(hasIPv6(''), false);
    assert.equal(hasIPv6(local + last), false);
    assert.equal(hasIPv6(local + defaultRoute + last), true);
    assert.equal(hasIPv6(line('fd00', '40', ['00000001', 'eth0']) + defaultRoute), false);
    assert.equal(hasIPv6(line('fd000001', '40', ['00000001', 'eth0']) + defaultRoute), true);
  });

  it("uses the resolvers that the C library would, the host's own by default", () => {
    for (const [text, expected] of [
      ['', ['127.0.0.1']],
      ['search a.test\n', ['127.0.0.1']],
      ['# nameserver 192.0.2.1\nnameserver 192.0.2.2\n', ['192.0.2.2']],
      [
        'nameserver\t127.0.0.53\nnameserver 2001:db8::1\nnameserver fe80::1%eth0\n',
        ['127.0.0.53', '2001:db8::1', 'fe80::1%eth0'],
      ],
      [
        'nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n',
        ['192.0.2.1', '192.0.2.2', '192.0.2.3'],
      ],
      ['nameserver resolver.test\nnameserver 192.0.2.2 # the second\n', ['192.0.2.2']],
    ] as const) {
      assert.deepEqual(parseResolvers(text), expected);
    }
  });

  it('has the search list of the host', () => {
    for (const [text, expected] of [
      ['', []],
      ['nameserver 192.0.2.1\n', []],
      ['search a.test  B.Test.\t_c\n', ['a.test', 'b.test', '_c']],
      ['search a.test\ndomain b.test\n', ['b.test']],
      ['search . a..b é.test\n#search c.test\n', []],
    ] as const) {
      assert.deepEqual(parseSearch(text), expected);
    }
  });

  it('follows the resolvers of the host', async () => {
    const path = join(tempDir(), 'resolv.conf');
    writeFileSync(path, 'nameserver 192.0.2.1\n');
    const reported: string[] = [];
    const resolvers = new HostResolvers((ips, search) => reported.push([...ips, ...search].join()), path);
    try {
      assert.deepEqual(reported, ['192.0.2.1']);
      writeFileSync(path, 'search a.test\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n');
      await waitFor(() => reported.length > 1, { what: 'the change' });
      assert.deepEqual(reported, ['192.0.2.1', '192.0.2.1,192.0.2.2,a.test']);
    } finally {
      resolvers.close();
    }
  });
});

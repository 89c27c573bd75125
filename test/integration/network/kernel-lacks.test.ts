/** The network drivers builtin and auto where the kernel, or what surrounds rootless-run, lacks something. */
import assert from 'node:assert/strict';
import type { Finding } from '../../../parent/doctor/index.js';
import { run, startStack } from '../../support/index.js';
import { type KernelFeature, without } from '../../support/kernel.js';
import { runWords, WITHOUT_BUILTIN } from '../../support/stacks/rootless-run.js';

/** Words that make a place that lacks something, the line that builtin ends with there, and whether auto is tried there. */
const PLACES: Readonly<Record<string, { wrapper: readonly string[]; line: RegExp; goesOn?: boolean }>> = {
  'no TPROXY, and no NAT': {
    wrapper: without(['tproxy', 'nat']),
    line: /the kernel has no TPROXY in nf_tables, nor NAT to replace it \(.*\); hint: sudo modprobe nft_tproxy$/m,
    goesOn: true,
  },
  'no TPROXY, and no marks of received datagrams': {
    wrapper: without(['tproxy', 'receive-mark']),
    line: /no TPROXY in nf_tables, and is too old for the alternative \(.*Linux 5\.19\); hint: sudo modprobe nft_tproxy$/m,
  },
  'no nf_tables': {
    wrapper: without(['nf_tables']),
    line: /the kernel has no nf_tables .*; hint: sudo modprobe nf_tables$/m,
  },
  'no veth': { wrapper: without(['veth']), line: /the kernel has no veth devices .*; hint: sudo modprobe veth$/m },
  'no policy routing': {
    wrapper: without(['policy-routing']),
    line: /the kernel has no policy routing \(CONFIG_IP_MULTIPLE_TABLES\); hint: --net=slirp4netns/,
  },
  'packet sockets refused': {
    wrapper: without(['packet-sockets']),
    line: /packet sockets are refused here: by a filter .*; hint: a seccomp profile/,
    goesOn: true,
  },
  'one network namespace only': {
    wrapper: ['unshare', '--user', '--map-root-user', 'sh', '-c', WITHOUT_BUILTIN, 'sh'],
    line: /no more network namespaces are allowed .*; hint: sudo sysctl -w user\.max_net_namespaces=/,
    goesOn: true,
  },
};

for (const [name, { wrapper, line, goesOn }] of Object.entries(PLACES)) {
  describe(`with ${name}`, () => {
    it('--net=builtin ends with one line', async () => {
      const { code, stdout, stderr } = await run(
        ...asCommand([...wrapper, ...runWords('--net=builtin', '--', 'true')]),
      );
      assert.deepEqual([code, stdout], [125, '']);
      const lines = stderr.split('\n').filter((text) => !text.includes('only root is mapped'));
      assert.equal(lines.length, 2, stderr);
      assert.match(stderr, line);
    });

    if (goesOn)
      it('--net=auto goes on to another driver', async () => {
        await using stack = await startStack({ args: ['--net=auto'], wrapper });
        assert.equal((await stack.api.info()).networkDriver?.driver, 'slirp4netns');
      });
  });
}

describe('without TPROXY', () => {
  it('--net=auto is builtin', async () => {
    await using stack = await startStack({ args: ['--net=auto'], wrapper: without(['tproxy']) });
    assert.equal((await stack.api.info()).networkDriver?.driver, 'builtin');
  });
});

describe('without IPv6 in the kernel', () => {
  it('the network has IPv4 alone, and --ipv6 is refused', async () => {
    await using stack = await startStack({ args: ['--net=builtin'], wrapper: without(['ipv6']) });
    assert.equal((await stack.api.info()).networkDriver?.ipv6, false);
    const words = [...without(['ipv6']), ...runWords('--net=builtin', '--ipv6', '--', 'true')];
    const { code, stderr } = await run(...asCommand(words));
    assert.equal(code, 125);
    assert.match(stderr, /the kernel has no IPv6 .*; hint: leave out --ipv6$/m);
  });
});

describe('rootless-run doctor', () => {
  const finding = async (...features: KernelFeature[]) => {
    const { stdout } = await run(...asCommand([...without(features), ...runWords('doctor', '--json')]));
    return (JSON.parse(stdout) as Finding[]).find(({ name }) => name === 'builtin-network');
  };

  it('reports what the kernel lacks, and what is used instead', async () => {
    const nat = await finding('tproxy');
    assert.deepEqual([nat?.status, nat?.fix], ['ok', 'sudo modprobe nft_tproxy']);
    assert.match(nat?.what ?? '', /^the network driver builtin works, by NAT: .*CONFIG_NFT_TPROXY/);
    const other = await finding('veth');
    assert.match(other?.what ?? '', /the kernel has no veth devices \(CONFIG_VETH\); slirp4netns is used$/);
    assert.deepEqual([other?.status, other?.fix], ['ok', 'sudo modprobe veth']);
  });
});

function asCommand([program = '', ...words]: readonly string[]): [program: string, words: string[]] {
  return [program, words];
}

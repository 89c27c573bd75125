import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { run, startStack, tempDir, waitFor } from '../../support/index.js';
import { ownHost } from '../../support/stacks/own-host.js';
import { runNested, runWords } from '../../support/stacks/rootless-run.js';

/** Starts a resolver (dnsmasq) on the device of a host. */
const RESOLVER = `setpriv --pdeathsig TERM dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts \
  --listen-address=198.51.100.2 --bind-interfaces --address=/example.test/203.0.113.80 --pid-file= --user=root --group=root &`;

describe('names', () => {
  for (const driver of ['slirp4netns', 'pasta']) {
    it(`are resolved by the host's resolver through ${driver}`, async () => {
      const ask = 'dig +short +time=2 +tries=5 example.test; getent ahostsv4 example.test | cut -d" " -f1 | sort -u';
      const { wrapper, resolvConf } = ownHost(RESOLVER);
      writeFileSync(resolvConf, 'nameserver 198.51.100.2\nsearch corp.test\noptions ndots:2 timeout:3\n');
      const [program = '', ...words] = [...wrapper, ...runWords(`--net=${driver}`, 'sh', '-c', ask)];
      const { stdout, code } = await run(program, words);
      assert.deepEqual([stdout, code], ['203.0.113.80\n203.0.113.80\n', 0]);
    });
  }

  it("keep the host's search list and options, whichever DNS server answers", async () => {
    const script =
      'printf "# comment\\nnameserver 192.0.2.1\\nsearch a.test b.test\\noptions ndots:2\\n" > "$1/r";' +
      ' mount --bind "$1/r" /etc/resolv.conf; shift; exec "$@"';
    for (const [net, expected] of [
      ['slirp4netns', 'nameserver 10.0.2.3\nsearch a.test b.test\noptions ndots:2\n'],
      ['pasta', 'nameserver 10.0.2.3\nsearch a.test b.test\noptions ndots:2\n'],
      ['none', 'search a.test b.test\noptions ndots:2\n'],
    ]) {
      const words = [tempDir(), ...runWords(`--net=${net}`, 'cat', '/etc/resolv.conf')];
      assert.equal((await runNested(script, words)).stdout, expected);
    }
  });
});

describe('a network', () => {
  for (const [driver, device] of [
    ['builtin', 'eth0'],
    ['slirp4netns', 'tap0'],
    ['pasta', 'tap0'],
  ] as const) {
    it(`shows its device, addresses, MTU and DNS server (${driver})`, async () => {
      await using stack = await startStack({ args: [`--net=${driver}`] });
      const { networkDriver } = await stack.api.info();
      // Of IPv6, which builtin has where the host has it, builtin.test.ts is about.
      const { dns: [first] = [], ipv6, ...rest } = networkDriver ?? {};
      assert.equal(first, '10.0.2.3');
      if (driver !== 'builtin') assert.equal(ipv6, false);
      assert.deepEqual(rest, {
        driver,
        childIP: '10.0.2.100',
        device,
        prefix: 24,
        gateway: '10.0.2.2',
        mtu: 65520,
      });
      const inside = await stack.enter(
        'sh',
        '-c',
        `cat /sys/class/net/${device}/mtu; ip -4 -br addr show ${device}; ip route`,
      );
      assert.match(
        inside.stdout,
        new RegExp(`^65520\n${device}\\S* +\\S+ +10\\.0\\.2\\.100/24 *\ndefault via 10\\.0\\.2\\.2 dev ${device} `),
      );
    });
  }

  for (const driver of ['slirp4netns', 'pasta']) {
    it(`that ends takes nothing else along (${driver})`, async () => {
      await using stack = await startStack({ args: [`--net=${driver}`], publish: ['127.0.0.2:0:7002'] });
      await using _server = await stack.program('tcp-server', 'echo', '127.0.0.1', 7002);
      const [process_] = stack.below('tap0');
      assert(process_);
      process.kill(process_.pid, 'SIGKILL');
      const line = new RegExp(
        `^rootless-run: warning: the network is lost: ${driver} ended: [^\n]*; starting it again$`,
        'm',
      );
      await waitFor(() => line.test(stack.started.output()), { what: 'the line that reports it' });
      const lines = stack.started
        .output()
        .split('\n')
        .filter((text) => text.includes('warning'));
      assert.equal(lines.length, 1, stack.started.output());
      assert.equal((await stack.published()).length, 1);
    });
  }
});

import assert from 'node:assert/strict';
import { bridge, bridgeAddress, hasBridge } from '../../setup/machine/lxc-bridge.js';
import { run, startStack, tcpRequest, waitFor } from '../../support/index.js';
import { refuses, runScript, runWords } from '../../support/stacks/rootless-run.js';

const net = '--net=lxc-user-nic';

describe('lxc-user-nic', () => {
  before(function () {
    if (!hasBridge()) this.skip();
  });
  afterEach(async () => {
    const members = async () => (await run('ip', ['-o', 'link', 'show', 'master', bridge])).stdout;
    await waitFor(async () => (await members()) === '', { what: 'the bridge to be empty' });
  });

  it('gives an address by DHCP, a route and names, and leads to the bridge', async () => {
    const script = `ip -4 -br addr show eth0; ip route; cat /etc/resolv.conf; dig +short name.test; cat /sys/class/net/eth0/mtu`;
    const { stdout, stderr, code } = await runScript(script, [net, '--mtu=1400']);
    assert.deepEqual([stderr, code], ['', 0]);
    assert.match(stdout, /^eth0@\S+ +UP +10\.124\.0\.\d+\/24/m);
    assert.match(stdout, /^default via 10\.124\.0\.1 dev eth0/m);
    assert.match(stdout, /^nameserver 10\.124\.0\.1$/m);
    assert.match(stdout, /^10\.124\.0\.1\n1400\n$/m);
  });

  for (const args of [[], ['--detach-netns'], ['--pidns'], ['--detach-netns', '--pidns']]) {
    it(`is there for others of the bridge, and its ports can be published (${args.join(' ') || 'as it is'})`, async () => {
      await using stack = await startStack({ args: [net, ...args, '--ifname=eth3'], publish: ['127.0.0.2:0:7002'] });
      const { networkDriver } = await stack.api.info();
      assert.deepEqual(networkDriver, {
        driver: 'lxc-user-nic',
        dns: [bridgeAddress],
        dynamicChildIP: true,
        device: 'eth3',
        prefix: 24,
        gateway: bridgeAddress,
        mtu: 1500,
      });
      if (args.length > 0) return;
      await using _server = await stack.program('tcp-server', 'echo', '0.0.0.0', 7002);
      const address = /10\.124\.0\.\d+/.exec((await stack.enter('ip', '-4', 'addr', 'show', 'eth3')).stdout)?.[0] ?? '';
      assert.equal((await tcpRequest(address, 7002, 'over the bridge')).toString(), 'over the bridge');
      const [{ port } = { port: 0 }] = await stack.published();
      assert.equal((await tcpRequest('127.0.0.2', port, 'published')).toString(), 'published');
      const info = await stack.ctl('info');
      assert.match(info.stdout, /Network Driver: lxc-user-nic\n {2}- DNS: \[10\.124\.0\.1\]\n {2}- IP: dynamic\n/);
    });
  }

  it('reports what is missing, and leaves nothing', async () => {
    await refuses(runWords(net, '--lxc-user-nic-bridge=nobridge0', 'true'), /no bridge nobridge0.*lxc-net/);
    await refuses(runWords(net, '--lxc-user-nic-bridge=lo', 'true'), /lxc-user-nic failed: .*\/etc\/lxc\/lxc-usernet/);
    await refuses(runWords(net, '--lxc-user-nic-binary=/no/such', 'true'), /--net=lxc-user-nic.*\/no\/such/);
    await refuses(runWords(net, '--cidr=10.5.0.0/24', 'true'), /--cidr and --net=lxc-user-nic are mutually exclusive/);
  });

  it('is not selected by auto', async () => {
    const { stdout } = await run('sh', ['-c', '"$@"', 'sh', ...runWords('--debug', 'true')]);
    assert.doesNotMatch(stdout, /lxc/);
  });
});

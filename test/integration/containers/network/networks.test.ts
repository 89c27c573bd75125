import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import type { NewNetwork } from '../../../../parent/client/container-client.js';
import { binPath, run } from '../../../support/index.js';
import {
  addressOf,
  busyboxRootfs,
  IDLE,
  onNetworks,
  reaches,
  removeAll,
  startContainer,
} from '../../../support/stacks/containers.js';
import { withContainerStack } from '../../../support/stacks/with-stack.js';

describe('networks', () => {
  const stack = withContainerStack();
  const make = (request: NewNetwork) => stack.containers.createNetwork(request);
  const inspect = (name: string) => stack.containers.inspect(name);

  it('are made, listed, inspected, checked and removed by rootless-net', async () => {
    const id = await stack.must(
      ...['network', 'create', 'one', '--subnet', '10.90.1.0/24', '--gateway', '10.90.1.254'],
      ...['--ip-range', '10.90.1.64/26', '--label', 'a=1', '--label', 'b', '-o', 'mtu=1400'],
    );
    assert.match(id, /^[0-9a-f]{64}$/);
    await stack.must('network', 'create', 'two', '--internal');
    const named = async (...filters: string[]) =>
      stack.must('network', 'ls', '--format', '{{.Name}}', ...filters.flatMap((filter) => ['--filter', filter]));
    assert.equal(await named('name=^(one|two)$'), 'one\ntwo');
    assert.equal(await named('label=a=1'), 'one');
    assert.equal(await named('label=a=2'), '');
    assert.equal(await named('dangling=true'), 'one\ntwo');
    assert.equal(await stack.must('network', 'ls', '-q', '--filter', 'name=^one$'), id.slice(0, 12));
    assert.equal(await stack.must('network', 'ls', '-q', '--no-trunc', '--filter', 'name=^one$'), id);
    const listed = (await stack.must('network', 'ls', '--json')).split('\n').map((line) => JSON.parse(line).name);
    assert.deepEqual(listed, ['one', 'two']);
    const table = await stack.must('network', 'ls');
    assert.match(table, /^NETWORK ID +NAME +DRIVER +SCOPE +SUBNETS/);
    assert.match(table, new RegExp(`^${id.slice(0, 12)} +one +bridge +local +10\\.90\\.1\\.0/24$`, 'm'));
    assert.match(table, /^[0-9a-f]{12} +host +host +local$/m);
    assert.match(table, /^[0-9a-f]{12} +none +null +local$/m);

    await startContainer(stack, { name: 'c', network: onNetworks('one') });
    for (const name of ['one', id, id.slice(0, 8)]) {
      const format = '{{(index .IPAM.Config 0).Subnet}} {{range .Containers}}{{.Name}} {{.IPv4Address}}{{end}}';
      assert.equal(await stack.must('network', 'inspect', '-f', format, name), '10.90.1.0/24 c 10.90.1.64/24');
      const [report] = JSON.parse(await stack.must('network', 'inspect', '--mode=native', name));
      assert.deepEqual(
        [report.name, report.id, report.driver, report.internal, report.labels, report.subnets],
        ['one', id, 'bridge', false, { a: '1', b: '' }, [{ subnet: '10.90.1.0/24', gateway: '10.90.1.254' }]],
      );
      assert.deepEqual(
        Object.values(report.containers).map((entry) => (entry as { name: string; ips: string[] }).ips),
        [['10.90.1.64/24']],
      );
    }
    assert.equal((await stack.containers.inspectNetwork('two')).internal, true);
    assert.equal(await stack.must('network', 'check', 'one', 'two'), 'one: ok\ntwo: ok');

    await stack.must('rm', '-f', 'c');
    assert.equal(await stack.must('network', 'rm', 'one', 'two'), 'one\ntwo');
    assert.deepEqual(await stack.net('network', 'rm', 'one'), {
      code: 1,
      signal: null,
      stdout: '',
      stderr: 'error: no such network: one; rootless-net network ls shows them\n',
    });
    const { stdout } = await stack.enter(['ip', '-br', 'link']);
    assert.doesNotMatch(stdout, /^rn-/m);
    assert.doesNotMatch((await stack.enter(['nft', 'list', 'table', 'inet', 'rootless_net'])).stdout, /10\.90\.1|rn-/);
  });

  it('are checked against the kernel', async () => {
    await make({ name: 'checked' });
    const { pid } = await startContainer(stack, { name: 'c', network: onNetworks('checked') });
    assert.deepEqual(await stack.containers.checkNetwork('checked'), []);
    await stack.enter(['nsenter', `--net=/proc/${pid}/ns/net`, 'ip', 'addr', 'flush', 'dev', 'eth0']);
    const { code, stdout, stderr } = await stack.net('network', 'check', 'checked');
    assert.deepEqual([code, stderr], [1, '']);
    assert.match(stdout, /^checked: c: eth0 of the container does not have the address 10\.\d+\.\d+\.2\n$/);
  });

  it('refuse invalid requests, and nothing is created', async () => {
    await make({ name: 'there', subnets: ['10.91.0.0/24'] });
    const before = readdirSync(stack.confDir);
    for (const [request, message] of [
      [{ name: 'there' }, /^network with name there already exists/],
      [{ name: 'host' }, /^invalid network name host: it is reserved/],
      [{ name: '-x' }, /"-x" is not a name/],
      [{ name: 'a/b' }, /"a\/b" is not a name/],
      [{ name: '' }, /"" is not a name/],
      [{ name: 'x', driver: 'ipvlan' }, /^unsupported network driver "ipvlan"; choose bridge or macvlan/],
      [
        { name: 'x', driver: 'overlay' },
        /^overlay networks are created by a command of their own, since their hosts have to agree on them/,
      ],
      [{ name: 'x', ipamDriver: 'y' }, /^unsupported IPAM driver "y"/],
      [{ name: 'x', options: { color: 'red' } }, /^unsupported bridge network option "color"; supported are mtu/],
      [{ name: 'x', options: { mtu: '-1' } }, /^invalid mtu -1: expected a number from 68 to 65535/],
      [{ name: 'x', ipv6: true, options: { mtu: '1279' } }, /^the mtu 1279 is too small for IPv6/],
      [{ name: 'x', subnets: ['10.92.0.0'] }, /^invalid subnet "10.92.0.0"/],
      [{ name: 'x', subnets: ['10.92.0.1/24'] }, /^unexpected subnet 10.92.0.1\/24, did you mean 10.92.0.0\/24\?/],
      [{ name: 'x', subnets: ['10.92.0.0/31'] }, /^the subnet 10.92.0.0\/31 is too small/],
      [{ name: 'x', subnets: ['10.92.0.0/24', '10.93.0.0/24'] }, /^a network has one subnet of each family/],
      [{ name: 'x', subnets: ['10.91.0.128/25'] }, /^10.91.0.128\/25 overlaps the subnet 10.91.0.0\/24 of the net/],
      [{ name: 'x', subnets: ['10.92.0.0/24'], gateways: ['10.93.0.1'] }, /^no matching subnet for gateway 10.93.0.1/],
      [
        { name: 'x', subnets: ['10.92.0.0/24'], gateways: ['10.92.0.255'] },
        /^the gateway 10.92.0.255 is the broadcast/,
      ],
      [{ name: 'x', subnets: ['10.92.0.0/24'], gateways: ['10.92.0.0'] }, /^the gateway 10.92.0.0 is the network addr/],
      [{ name: 'x', gateways: ['nonsense'] }, /"nonsense" is not an IP address/],
      [
        { name: 'x', subnets: ['10.92.0.0/24'], gateways: ['10.92.0.1', '10.92.0.2'] },
        /^a subnet has one gateway; 10.92.0.1 and 10.92.0.2 were given for 10.92.0.0\/24/,
      ],
      [{ name: 'x', subnets: ['10.92.0.0/24'], ipRanges: ['10.93.0.0/25'] }, /^no matching subnet for ip-range 10.93/],
      [{ name: 'x', subnets: ['10.92.0.0/24'], ipRanges: ['10.92.0.0/16'] }, /^the IP range 10.92.0.0\/16 is not with/],
      [
        { name: 'x', subnets: ['10.92.0.0/24'], ipRanges: ['10.92.0.0/26', '10.92.0.64/26'] },
        /^a subnet has one ip-range; 10.92.0.0\/26 and 10.92.0.64\/26 were given for 10.92.0.0\/24/,
      ],
      [{ name: 'x', subnets: ['10.92.0.0/24'], auxAddresses: ['r=10.93.0.5'] }, /^no matching subnet for aux-address/],
      [{ name: 'x', auxAddresses: ['10.93.0.5'] }, /"10.93.0.5" is not of the form NAME=ADDRESS/],
    ] as const) {
      await assert.rejects(make(request as unknown as NewNetwork), (error: Error) => {
        assert.match(error.message, message, JSON.stringify(request));
        assert.doesNotMatch(error.message, /\n/);
        return true;
      });
    }
    assert.deepEqual(readdirSync(stack.confDir), before);
    assert.deepEqual(await stack.net('network', 'create', 'there'), {
      code: 1,
      signal: null,
      stdout: '',
      stderr: 'error: network with name there already exists; remove it first, or choose another name\n',
    });
    for (const name of ['nowhere', 'hosts', '../etc/passwd']) {
      const { code, stderr } = await stack.net('network', 'inspect', name);
      assert.equal(code, 1);
      assert.match(stderr, /^error: .*\n$/);
    }
    const { code, stderr } = await stack.net('network', 'ls', '--filter', 'name=[');
    assert.equal(code, 125);
    assert.match(stderr, /^error: .*\[.*\n$/);
  });

  it('refuse subnets to which there is a route already, and choose none such', async () => {
    const enter = async (...words: string[]) => assert.equal((await stack.enter(words)).code, 0, words.join(' '));
    await enter('ip', 'link', 'add', 'live0', 'type', 'veth', 'peer', 'name', 'live1');
    try {
      await enter('ip', 'addr', 'add', '10.94.0.1/16', 'dev', 'live0');
      await enter('ip', 'addr', 'add', '10.4.0.0/14', 'dev', 'live0');
      await enter('ip', 'link', 'set', 'live0', 'up');
      await assert.rejects(make({ name: 'x', subnets: ['10.94.7.0/24'] }), {
        httpStatus: 409,
        message: "10.94.7.0/24 overlaps the stack's route 10.94.0.0/16; hint: choose another --subnet",
      });
      const { subnets } = await make({ name: 'x' });
      assert.deepEqual(subnets, [{ subnet: '10.8.0.0/24', gateway: '10.8.0.1' }]);
    } finally {
      await enter('ip', 'link', 'del', 'live0');
    }
  });

  it('cannot be removed while a container refers to them, by any of its names, running or not', async () => {
    const { id } = await make({ name: 'used' });
    const { containers } = stack;
    for (const network of ['used', id, id.slice(0, 6)]) {
      const created = await containers.create({
        name: 'user',
        rootfs: busyboxRootfs(),
        command: IDLE,
        network: onNetworks(network),
      });
      for (const phase of ['created', 'running', 'exited']) {
        assert.equal((await inspect('user')).status, phase);
        for (const name of ['used', id, id.slice(0, 6)]) {
          await assert.rejects(containers.removeNetwork(name), {
            httpStatus: 409,
            message: 'the network used is in use by the container user; remove that first',
          });
        }
        assert.deepEqual(await containers.pruneNetworks(), []);
        if (phase === 'created') await containers.start(created.id);
        else await containers.stop(created.id);
      }
      await containers.start(created.id);
      await containers.remove(created.id, { force: true });
    }
    assert.equal(await stack.must('network', 'prune'), 'used');
    await assert.rejects(containers.inspectNetwork('used'), { httpStatus: 404 });
  });

  it('cannot be removed while a container of another OCI runtime is on them', async () => {
    await make({ name: 'used' });
    const { pid } = await startContainer(stack, { network: { mode: 'none' } });
    const state = { id: 'foreign', pid, annotations: { 'rootless-net/networks': '["used"]' } };
    const hook = async (event: string) => {
      const words = ['--state-dir', stack.stateDir, 'oci-hook', event];
      const input = JSON.stringify(state);
      const result = await run(binPath('rootless-net'), words, { env: stack.env, input });
      assert.deepEqual([result.code, result.stderr], [0, '']);
    };
    await hook('createRuntime');
    await assert.rejects(stack.containers.removeNetwork('used'), {
      httpStatus: 409,
      message: 'the network used is in use by the container foreign; remove that first',
    });
    assert.deepEqual(await stack.containers.pruneNetworks(), []);
    await hook('poststop');
    await stack.containers.removeNetwork('used');
  });

  it('can be made again with another subnet', async () => {
    for (const subnet of ['10.97.1.0/24', '10.97.0.0/16', '10.97.2.0/24']) {
      await make({ name: 'again', subnets: [subnet] });
      const network = onNetworks('again');
      const [a, b] = [await startContainer(stack, { name: 'a', network }), await startContainer(stack, { network })];
      assert.equal(addressOf(b), addressOf(a).replace(/2$/, '3'));
      assert.equal(await reaches(stack, 'a', addressOf(b)), true);
      await removeAll(stack);
    }
  });

  it('are pruned without the default one', async () => {
    const first = await stack.containers.inspectNetwork('bridge');
    assert.deepEqual(first.subnets[0]?.subnet, '10.4.0.0/24');
    await make({ name: 'p1' });
    await make({ name: 'p2' });
    assert.deepEqual((await stack.containers.pruneNetworks()).sort(), ['p1', 'p2']);
    assert.deepEqual(
      (await stack.containers.networks()).map(({ name }) => name),
      ['bridge'],
    );
    assert.deepEqual(await stack.containers.inspectNetwork('bridge'), first);
  });
});

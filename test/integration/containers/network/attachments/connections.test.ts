import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { addressOf, execIn, reaches } from '../../../../support/stacks/containers.js';
import { interfaces, withAttachments } from './attached.js';

describe('containers on networks', () => {
  const { stack, make, startOn, inspect, defaultRoutes } = withAttachments();

  it('have eth0, eth1 … in the order of their networks, and one default route, by the first that is not internal', async () => {
    for (const name of ['m1', 'm2']) await make({ name });
    await make({ name: 'inner', internal: true });
    const gatewayOf = async (name: string) => (await stack.containers.inspectNetwork(name)).subnets[0]?.gateway;
    for (const [networks, main, device] of [
      [['m1', 'm2'], 'm1', 'eth0'],
      [['m2', 'm1'], 'm2', 'eth0'],
      [['inner', 'm2', 'm1'], 'm2', 'eth1'],
    ] as const) {
      const name = `c-${randomUUID().slice(0, 8)}`;
      const report = await startOn(name, ...networks);
      assert.deepEqual(
        interfaces(report),
        networks.map((network, index) => `eth${index} ${network}`),
      );
      for (const { interface: ifname, ips } of report.attachments) {
        assert((await execIn(stack, name, 'ip', 'addr', 'show', ifname)).includes(` ${ips[0]} `));
      }
      assert.deepEqual(await defaultRoutes(name), [`default via ${await gatewayOf(main)} dev ${device}`]);
      const again = await stack.containers.restart(name);
      assert.deepEqual(again.attachments, report.attachments);
    }
  });

  it('cannot be on a network twice under any names', async () => {
    const { id } = await make({ name: 'once' });
    for (const networks of [
      ['once', 'once'],
      ['once', id],
      [id.slice(0, 8), id],
    ]) {
      await assert.rejects(startOn('c', ...networks), { message: /^the network .* is named twice$/ });
    }
    assert.deepEqual(await stack.containers.list(), []);
  });

  it('are connected and disconnected while they run', async () => {
    const { id } = await make({ name: 'm1', subnets: ['10.81.0.0/24'] });
    await make({ name: 'm2', subnets: ['10.82.0.0/24'] });
    await startOn('a', 'm1');
    const b = await startOn('b', 'm2');
    assert.equal(await reaches(stack, 'a', 'b'), false);
    await stack.must('network', 'connect', 'm2', 'a', '--ip', '10.82.0.20', '--alias', 'also-a');
    assert.deepEqual(interfaces(await inspect('a')), ['eth0 m1', 'eth1 m2']);
    assert.equal(addressOf(await inspect('a'), 'm2'), '10.82.0.20');
    for (const name of ['b', addressOf(b)]) assert.equal(await reaches(stack, 'a', name), true, name);
    for (const name of ['a', 'a.m2', 'also-a']) assert.equal(await reaches(stack, 'b', name), true, name);
    assert.deepEqual(await defaultRoutes('a'), ['default via 10.81.0.1 dev eth0']);
    for (const network of ['m2', 'm1', id]) {
      const { code, stderr } = await stack.net('network', 'connect', network, 'a');
      const name = network === 'm2' ? 'm2' : 'm1';
      assert.deepEqual([code, stderr], [1, `error: the container a is already on the network ${name}\n`]);
    }
    await stack.must('network', 'disconnect', 'm2', 'a');
    assert.deepEqual(interfaces(await inspect('a')), ['eth0 m1']);
    assert.deepEqual(await Promise.all([reaches(stack, 'a', addressOf(b)), reaches(stack, 'b', 'a')]), [false, false]);
    for (const [network, message] of [
      ['m2', 'the container a is not on the network m2'],
      ['m3', 'no such network: m3; rootless-net network ls shows them'],
    ]) {
      const { code, stderr } = await stack.net('network', 'disconnect', network ?? '', 'a');
      assert.deepEqual([code, stderr], [1, `error: ${message}\n`]);
    }
    // The address is free, and the network is not in use by it any more.
    assert.equal(addressOf(await startOn('c', { network: 'm2', ip: '10.82.0.20' })), '10.82.0.20');
    for (const name of ['b', 'c']) await stack.containers.remove(name, { force: true });
    await stack.containers.removeNetwork('m2');
  });

  it('keep a default route when they leave the network of that route, or join the first with a route to the outside', async () => {
    await make({ name: 'm1', subnets: ['10.81.0.0/24', 'fd00:81::/64'] });
    await make({ name: 'm2', subnets: ['10.82.0.0/24', 'fd00:82::/64'] });
    await make({ name: 'inner', internal: true });
    const { containers } = stack;
    const routes = async () => [...(await defaultRoutes('a')), ...(await defaultRoutes('a', '-6'))];
    const by = (subnet: number, device: string) => [
      `default via 10.${subnet}.0.1 dev ${device}`,
      `default via fd00:${subnet}::1 dev ${device} metric 1024`,
    ];
    await startOn('a', 'm1', 'm2');
    assert.deepEqual(await routes(), by(81, 'eth0'));
    await containers.disconnect('m1', 'a');
    assert.deepEqual(await routes(), by(82, 'eth1'));
    await containers.connect('inner', 'a');
    assert.deepEqual(interfaces(await inspect('a')), ['eth1 m2', 'eth0 inner']);
    await containers.disconnect('m2', 'a');
    assert.deepEqual(await routes(), []);
    await containers.connect('m1', 'a');
    assert.deepEqual(await routes(), by(81, 'eth1'));
  });

  it('have the same interfaces and addresses after a stop and a start, whichever networks they left and joined', async () => {
    for (const name of ['m1', 'm2', 'm3']) await make({ name });
    const { containers } = stack;
    await startOn('a', 'm1', 'm2');
    await containers.disconnect('m1', 'a');
    await containers.connect('m3', 'a');
    const { attachments } = await inspect('a');
    assert.deepEqual((await containers.restart('a')).attachments, attachments);
  });

  it('are connected and disconnected while they are stopped', async () => {
    await make({ name: 'm1' });
    await make({ name: 'm2', subnets: ['10.82.0.0/24'] });
    const { containers } = stack;
    await startOn('a', 'm1', { network: 'm2', ip: '10.82.0.20' });
    await containers.stop('a');
    await containers.disconnect('m2', 'a');
    assert.equal(addressOf(await startOn('b', { network: 'm2', ip: '10.82.0.20' })), '10.82.0.20');
    await containers.connect('m2', 'a', { ip: '10.82.0.21' });
    const report = await containers.start('a');
    assert.deepEqual(interfaces(report), ['eth0 m1', 'eth1 m2']);
    assert.equal(addressOf(report, 'm2'), '10.82.0.21');
    assert.equal(await reaches(stack, 'b', 'a'), true);
  });

  it('stay as they were when a network cannot be connected', async () => {
    await make({ name: 'm1' });
    await make({ name: 'm2', subnets: ['10.82.0.0/24'] });
    await startOn('b', { network: 'm2', ip: '10.82.0.20' });
    const before = await startOn('a', 'm1');
    const { code, stderr } = await stack.net('network', 'connect', 'm2', 'a', '--ip', '10.82.0.20');
    assert.equal(code, 1);
    assert.match(stderr, /^error: requested IP address 10\.82\.0\.20 is not available in network m2: .*\n$/);
    assert.deepEqual(await inspect('a'), before);
    assert.match(await execIn(stack, 'a', 'ip', '-o', 'link'), /^1: lo:[^\n]*\n\d+: eth0@[^\n]*\n$/);
    assert.deepEqual((await stack.containers.restart('a')).attachments, before.attachments);
  });
});

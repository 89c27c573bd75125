import assert from 'node:assert/strict';
import type { AttachmentRequest } from '../../../../../protocol/containers/types.js';
import { addressOf, busyboxRootfs, execIn, IDLE, reaches, removeAll } from '../../../../support/stacks/containers.js';
import { withAttachments } from './attached.js';

describe('containers on networks', () => {
  const { stack, make, startOn, inspect, defaultRoutes } = withAttachments();

  it('have IPv6 if the network has it, of a subnet that is chosen for it', async () => {
    const report = await make({ name: 'six', ipv6: true, options: { mtu: '1400' } });
    assert.match(report.subnets[1]?.subnet ?? '', /^fd[0-9a-f]{2}:[0-9a-f:]+::\/64$/);
    const [a, b] = await Promise.all([startOn('a', 'six'), startOn('b', 'six')]);
    assert.match(a.attachments[0]?.ips[1] ?? '', /^fd[0-9a-f:]+::[23]\/64$/);
    assert.deepEqual(await defaultRoutes('a', '-6'), [
      `default via ${report.subnets[1]?.gateway} dev eth0 metric 1024`,
    ]);
    assert.deepEqual(
      await Promise.all([4, 6].map((family) => reaches(stack, 'a', addressOf(b, 'six', family as 4 | 6)))),
      [true, true],
    );
    assert.match(await execIn(stack, 'a', 'ip', 'link', 'show', 'eth0'), / mtu 1400 /);
    // The same network again has the same subnet.
    await removeAll(stack);
    assert.deepEqual((await make({ name: 'six', ipv6: true })).subnets[1], report.subnets[1]);
  });

  it('get addresses of the IP range only, without those of other hosts', async () => {
    await make({
      name: 'part',
      subnets: ['10.95.0.0/24', 'fd00:95::/64'],
      ipRanges: ['10.95.0.8/30', 'fd00:95::40/122'],
      gateways: ['10.95.0.9'],
      auxAddresses: ['router=10.95.0.10'],
    });
    const a = await startOn('a', 'part');
    const b = await startOn('b', 'part');
    assert.deepEqual(
      [...a.attachments, ...b.attachments].flatMap(({ ips }) => ips),
      ['10.95.0.8/24', 'fd00:95::40/64', '10.95.0.11/24', 'fd00:95::41/64'],
    );
    await assert.rejects(startOn('c', 'part'), {
      httpStatus: 409,
      message: /^no IP addresses available in .* of network part/,
    });
    const aux = startOn('d', { network: 'part', ip: '10.95.0.10' });
    await assert.rejects(aux, {
      httpStatus: 409,
      message: /^requested IP address 10.95.0.10 is not for containers of network part/,
    });
  });

  it('get the addresses, the MAC address and the names that they ask for', async () => {
    await make({ name: 'asked', subnets: ['10.96.0.0/24', 'fd00:96::/64'] });
    const options = ['--ip', '10.96.0.77', '--ip6', 'fd00:96::77', '--mac-address', '02:11:22:33:44:55'];
    const rootfs = ['--rootfs', busyboxRootfs(), '--', ...IDLE];
    await stack.must('run', '-d', '--name', 'a', '--net', 'asked', ...options, '--network-alias', 'db', ...rootfs);
    const shown = await execIn(stack, 'a', 'ip', 'addr', 'show', 'eth0');
    assert.match(shown, /inet 10\.96\.0\.77\/24 /);
    assert.match(shown, /inet6 fd00:96::77\/64 /);
    assert.match(shown, /ether 02:11:22:33:44:55 /);
    await stack.must('run', '-d', '--name', 'b', '--net', 'asked:ip=10.96.0.78,alias=b2,alias=b3', ...rootfs);
    for (const name of ['a', 'db', 'db.asked']) assert.equal(await reaches(stack, 'b', name), true, name);
    for (const name of ['b', 'b2', 'b3', '10.96.0.78']) assert.equal(await reaches(stack, 'a', name), true, name);
  });

  it('cannot have an address outside of the network, or one of another container, even a stopped one', async () => {
    await make({ name: 'asked', subnets: ['10.96.0.0/24'] });
    await startOn('first', { network: 'asked', ip: '10.96.0.7' });
    for (const phase of ['running', 'exited']) {
      assert.equal((await inspect('first')).status, phase);
      for (const [ip, message] of [
        [
          '10.96.0.7',
          'requested IP address 10.96.0.7 is not available in network asked: container first has it, choose another',
        ],
        ['10.96.0.1', 'requested IP address 10.96.0.1 is the gateway of network asked, choose another'],
        ['10.96.0.255', 'requested IP address 10.96.0.255 is the broadcast address of 10.96.0.0/24, choose another'],
        ['10.97.0.7', /^requested IP address 10\.97\.0\.7 is not in network asked/],
      ] as const) {
        const rootfs = ['--rootfs', busyboxRootfs(), '--', ...IDLE];
        const words = ['run', '-d', '--name', 'second', '--net', 'asked', '--ip', ip, ...rootfs];
        const { code, stderr } = await stack.net(...words);
        assert.equal(code, 125);
        if (typeof message === 'string') assert.equal(stderr, `error: ${message}\n`);
        else assert.match(stderr.replace(/^error: (.*)\n$/, '$1'), message);
        assert.equal((await stack.containers.list()).length, 1);
      }
      await stack.containers.stop('first');
    }
    await stack.containers.remove('first');
    assert.equal(addressOf(await startOn('second', { network: 'asked', ip: '10.96.0.7' })), '10.96.0.7');
  });

  it('are refused invalid addresses and names, and are not created', async () => {
    await make({ name: 'asked', subnets: ['10.96.0.0/24'] });
    for (const [asked, message] of [
      [{ ip: '10.96.0' }, /"10\.96\.0" is not an IPv4 address/],
      [{ ip: 'fd00::1' }, /"fd00::1" is not an IPv4 address/],
      [{ ip6: '10.96.0.7' }, /"10\.96\.0\.7" is not an IPv6 address/],
      [{ mac: '01:00:00:00:00:01' }, /"01:00:00:00:00:01" is not a unicast MAC address/],
      [{ mac: '02:00:00:00:00' }, /is not a unicast MAC address/],
      [{ aliases: ['a b'] }, /"a b" is not the name of a host/],
      [{ network: 'nowhere' }, /^no such network: nowhere/],
    ] as const) {
      const request = { network: 'asked', ...asked } as unknown as AttachmentRequest;
      await assert.rejects(startOn('c', request), { message }, JSON.stringify(asked));
    }
    assert.deepEqual(await stack.containers.list(), []);
    // Only the network can report this, when the container starts.
    await assert.rejects(startOn('c', { network: 'asked', ip6: 'fd00::7' }), {
      message: /^requested IP address fd00::7 is not in network asked, which has 10\.96\.0\.1-10\.96\.0\.254$/,
    });
  });

  it('keep their address while they are stopped, and no other container gets it', async () => {
    await make({ name: 'small', subnets: ['10.98.0.0/29'] });
    const a = await startOn('a', 'small');
    await startOn('b', 'small');
    const mac = a.attachments[0]?.mac;
    await stack.containers.stop('a');
    // Five addresses are for containers, and a holds one of them.
    for (const name of ['c', 'd', 'e']) assert.notEqual(addressOf(await startOn(name, 'small')), addressOf(a));
    await assert.rejects(startOn('f', 'small'), { message: /^no IP addresses available/ });
    const again = await stack.containers.start('a');
    assert.deepEqual([addressOf(again), again.attachments[0]?.mac], [addressOf(a), mac]);
    await stack.containers.remove('a', { force: true });
    assert.equal(addressOf(await stack.containers.start('f')), addressOf(a));
  });
});

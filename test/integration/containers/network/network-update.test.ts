import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binPath, waitFor } from '../../../support/index.js';
import { addressOf, execIn, onNetworks, reaches, startContainer } from '../../../support/stacks/containers.js';
import { ownHost } from '../../../support/stacks/own-host.js';
import { withContainerStack } from '../../../support/stacks/with-stack.js';

describe('a network whose subnet is to be another one', () => {
  const host = ownHost();
  const stack = withContainerStack({ args: ['--net=slirp4netns'], wrapper: host.wrapper });
  const onHost = (...command: string[]) => host.must(stack.started.pid, ...command);
  const refusal = async (...words: string[]) => {
    const { code, stdout, stderr } = await stack.net('network', 'update', ...words);
    assert.notEqual(code, 0);
    assert.equal(stdout, '');
    return stderr;
  };

  it('is reported once when the host gets a route of its own to it, and by network check as long as it has one', async () => {
    const network = onNetworks('back');
    await stack.must('network', 'create', 'back', '--subnet', '10.40.0.0/24');
    await startContainer(stack, { name: 'one', network });
    const what = "the host's route 10.40.0.0/16 dev up0 table 51820";
    const hint = 'hint: rootless-net network update back --subnet 10.4.1.0/24';
    const lines = () => stack.started.output().match(/^.*subnet 10\.40\.0\.0\/24.*$/gm) ?? [];
    const warning = `the subnet 10.40.0.0/24 of the network back overlaps ${what}, which is unreachable for the stack; ${hint}`;
    await onHost('ip', 'rule', 'add', 'lookup', '51820');
    await onHost('ip', 'route', 'add', '10.40.0.0/16', 'dev', 'up0', 'table', '51820');
    try {
      await waitFor(() => lines().length > 0, { what: 'the warning' });
      assert.deepEqual(await stack.net('network', 'check', 'back'), {
        ...{ code: 1, signal: null, stderr: '' },
        stdout: `back: its subnet 10.40.0.0/24 overlaps ${what}; ${hint}\n`,
      });
      const doctor = await host.enter(
        stack.started.pid,
        'env',
        `XDG_CONFIG_HOME=${stack.env.XDG_CONFIG_HOME}`,
        binPath('rootless-run'),
        'doctor',
      );
      assert.match(
        doctor.stdout,
        /^warning +subnets +10\.40\.0\.0\/24 of the network back overlaps the host's route /m,
      );
      assert.match(doctor.stdout, /^ +fix: rootless-net network update back --subnet CIDR$/m);
      // Another change of the host is checked as well; what was reported is not reported again.
      await onHost('ip', 'route', 'add', '10.4.0.0/24', 'dev', 'up0');
      await stack.must('network', 'create', 'next');
      await onHost('ip', 'route', 'add', '10.4.1.0/25', 'dev', 'up0');
      await waitFor(() => /subnet 10\.4\.1\.0\/24 of the network next/.test(stack.started.output()), {
        what: 'the next',
      });
      assert.equal(lines().length, 1);
      assert(lines()[0]?.endsWith(warning), lines()[0]);

      assert.match(
        await refusal('back', '--subnet', '10.41.0.0/24'),
        /^error: the network back is in use by a running container; hint: rootless-net stop one\n$/,
      );
      await stack.must('stop', 'one');
      assert.equal(await stack.must('network', 'update', 'back', '--subnet', '10.41.0.0/24'), 'back');
      assert.equal(await stack.must('network', 'check', 'back'), 'back: ok');
      await stack.must('start', 'one');
      await startContainer(stack, { name: 'two', network });
      assert.match(addressOf(await stack.containers.inspect('one')), /^10\.41\.0\./);
      assert.equal(await reaches(stack, 'two', 'one'), true);
      assert.equal(await stack.must('network', 'check', 'back'), 'back: ok');
      const { stdout } = await stack.enter(['nft', 'list', 'table', 'inet', 'rootless_net']);
      assert.doesNotMatch(stdout, /10\.40\.0/);
      assert.match(stdout, /10\.41\.0/);
    } finally {
      const { pid } = stack.started;
      for (const route of ['10.4.0.0/24', '10.4.1.0/25'])
        await host.enter(pid, 'ip', 'route', 'del', route, 'dev', 'up0');
      await host.enter(pid, 'ip', 'rule', 'del', 'lookup', '51820');
    }
  });

  it('is reported if the host gets a resolver in it', async () => {
    await stack.must('network', 'create', 'names', '--subnet', '10.50.0.0/24');
    writeFileSync(host.resolvConf, 'nameserver 10.50.0.53\n');
    const line = /the subnet 10\.50\.0\.0\/24 of the network names overlaps the host's resolver 10\.50\.0\.53, which /;
    await waitFor(() => line.test(stack.started.output()), { what: 'the warning' });
  });

  it('keeps the other family, labels, and the place of addresses that containers ask for', async () => {
    await stack.must(
      ...['network', 'create', 'both', '--label', 'a=b', '--subnet', '10.42.0.0/24', '--subnet', 'fd00:42::/64'],
      ...['--aux-address', 'printer=10.42.0.9', '--aux-address', 'other=fd00:42::9'],
    );
    const network = onNetworks({ network: 'both', ip: '10.42.0.77', ip6: 'fd00:42::77' });
    const { id } = await startContainer(stack, { name: 'fixed', network });
    await startContainer(stack, { name: 'any', network: onNetworks('both') });
    const six = addressOf(await stack.containers.inspect('any'), 'both', 6);
    await stack.must('stop', 'fixed', 'any');
    await stack.must('network', 'update', 'both', '--subnet', '10.43.0.0/24', '--gateway', '10.43.0.254');
    const report = await stack.containers.inspectNetwork('both');
    assert.deepEqual(report.subnets, [
      { subnet: '10.43.0.0/24', gateway: '10.43.0.254' },
      { subnet: 'fd00:42::/64', gateway: 'fd00:42::1' },
    ]);
    assert.deepEqual(report.labels, { a: 'b' });
    await stack.must('start', 'fixed', 'any');
    assert.deepEqual((await stack.containers.inspect(id)).attachments[0]?.ips, ['10.43.0.77/24', 'fd00:42::77/64']);
    assert.equal(addressOf(await stack.containers.inspect('any'), 'both', 6), six);
    assert.equal((await execIn(stack, 'any', 'ip', 'route')).split('\n')[0], 'default via 10.43.0.254 dev eth0 ');
    assert.equal(await reaches(stack, 'any', 'fixed'), true);
    await stack.must('stop', 'fixed', 'any');
    assert.equal(
      await refusal('both', '--subnet', '10.44.0.0/26'),
      'error: 10.43.0.77, which the container fixed requests, does not fit into 10.44.0.0/26; hint: choose a larger --subnet, or another --gateway\n',
    );
    assert.deepEqual((await stack.containers.inspectNetwork('both')).subnets, report.subnets);
  });

  it('can be the default one, and get IPv6', async () => {
    const before = await stack.containers.inspectNetwork('bridge');
    await stack.must('network', 'update', 'bridge', '--subnet', '10.45.0.0/24', '--subnet', 'fd00:45::/64');
    const { attachments } = await startContainer(stack, { name: 'c' });
    assert.deepEqual(attachments[0]?.ips, ['10.45.0.2/24', 'fd00:45::2/64']);
    assert.match(await execIn(stack, 'c', 'ip', '-6', 'route'), /^default via fd00:45::1 /m);
    await stack.must('rm', '-f', 'c');
    await stack.must('network', 'update', 'bridge', '--subnet', before.subnets[0]?.subnet ?? '');
  });

  it('refuses what is impossible, and stays as it was', async () => {
    mkdirSync(stack.confDir, { recursive: true });
    const ipam = { type: 'host-local', subnet: '10.46.0.0/24' };
    const list = { cniVersion: '1.0.0', name: 'others', plugins: [{ type: 'bridge', bridge: 'br9', ipam }] };
    const file = join(stack.confDir, 'others.conflist');
    writeFileSync(file, JSON.stringify(list));
    await stack.must('network', 'create', 'mine', '--subnet', '10.47.0.0/24');
    const before = await stack.containers.inspectNetwork('mine');
    for (const [words, message] of [
      ['mine', 'network update requires --subnet; hint: --subnet 10.5.0.0/24'],
      [
        'others --subnet 10.48.0.0/24',
        `cannot change the subnet of the network others: it is managed by another program (${file})`,
      ],
      [
        'mine --subnet 198.51.100.0/24',
        "198.51.100.0/24 overlaps the host's route 198.51.100.0/24 dev up0; hint: choose another --subnet, or use --force",
      ],
      [
        'mine --subnet 10.46.0.0/25',
        '10.46.0.0/25 overlaps the subnet 10.46.0.0/24 of the network others; hint: choose another --subnet',
      ],
      [
        'mine --subnet 10.48.0.0/24 --subnet 10.49.0.0/24',
        'a network has one subnet of each family; 10.48.0.0/24, 10.49.0.0/24 were given',
      ],
      [
        'mine --subnet 10.48.0.0/24 --gateway 10.47.0.1',
        'no matching subnet for gateway 10.47.0.1; the network has 10.48.0.0/24',
      ],
    ] as const) {
      assert.equal(await refusal(...words.split(' ')), `error: ${message}\n`);
    }
    assert.match(await refusal('nowhere', '--subnet', '10.48.0.0/24'), /^error: no such network: nowhere; /);
    assert.deepEqual(await stack.containers.inspectNetwork('mine'), before);
    await stack.must('network', 'update', 'mine', '--force', '--subnet', '198.51.100.0/24');
    // On purpose: no warning, but a check reports it.
    assert.match(
      (await stack.net('network', 'check', 'mine')).stdout,
      /^mine: its subnet 198\.51\.100\.0\/24 overlaps /,
    );
    assert.doesNotMatch(stack.started.output(), /of the network mine overlaps/);
  });
});

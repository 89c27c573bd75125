import assert from 'node:assert/strict';
import { appendFileSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deviceOf } from '../../../../child/container/network/bridge/driver.js';
import type { ContainerReport } from '../../../../protocol/containers/types.js';
import { freePort, hostAddresses, tcpOutcome, waitFor } from '../../../support/index.js';
import {
  addressOf,
  busyboxRootfs,
  HOST_PROGRAMS,
  kill,
  onlyLeft,
  reaches,
  startContainer,
  traces,
} from '../../../support/stacks/containers.js';
import { withContainerStack } from '../../../support/stacks/with-stack.js';
import { seers } from '../../../support/traffic/peer-seers.js';

const NOBODY = 'd'.repeat(64);
/** What is found in files after a crash of the machine, or of a full disk. */
const torn = ['{"id": "', '', '[]', 'null', '\0\0\0\0'];

describe('rootless-net gc', () => {
  const stack = withContainerStack({ keep: true });
  let running: ContainerReport;
  before(async () => {
    running = await startContainer(stack, { name: 'running' });
    const stopped = await startContainer(stack, { name: 'stopped' });
    await stack.containers.stop(stopped.id);
  });

  const data = (...path: string[]) => join(stack.dataDir, ...path);
  const inside = async (...command: string[]) => {
    const { code, stderr } = await stack.enter(command);
    assert.deepEqual([code, stderr], [0, ''], command.join(' '));
  };

  it('finds nothing where everything is as it should be', async () => {
    assert.equal(await stack.must('gc'), 'nothing is left over');
    assert.equal(await stack.must('gc', '--repair'), 'nothing is left over');
  });

  it('shows what was changed from outside, and repairs it on request', async () => {
    const before = await traces(stack);
    const link = async (name: string, alias: string) => {
      await inside('ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name', `${name}p`);
      if (alias !== '') await inside('ip', 'link', 'set', name, 'alias', alias);
    };
    const rule = (verb: string, set: string, element: string) =>
      inside('nft', verb, 'element', 'inet', 'rootless_net', set, `{ ${element} }`);
    const intent = {
      ...{ intent: 'attach', id: NOBODY, own: true, stack: 'x', name: 'x', netns: '', pid: 1, publish: [] },
      attachments: [{ network: 'bridge', ifname: 'eth0' }],
    };

    await link('stray', `rootless-net ${NOBODY} eth0`);
    await link('foreign', '');
    await inside('ip', 'link', 'add', 'rn-gone', 'type', 'bridge');
    await rule('add', 'bridges', '"rn-gone"');
    await rule('add', 'same', '"rn-gone" . "rn-gone"');
    await rule('add', 'subnets4', '10.4.1.0/24');
    await rule('delete', 'subnets4', '10.4.0.0/24');
    writeFileSync(data('addresses', 'bridge', '10.4.0.200'), `${NOBODY}\r\neth0`);
    writeFileSync(data('journal', NOBODY), `${JSON.stringify(intent)}\n{"step":"device:eth0"}\n{"done":"dev`);
    writeFileSync(data('journal', 'e'.repeat(64)), 'torn');
    writeFileSync(data('names', 'orphan'), NOBODY);
    writeFileSync(data('names', 'empty'), '');
    rmSync(data('names', 'stopped'));
    appendFileSync(join(running.directory, 'hosts'), '# <rootless-net>\n10.4.0.9\tghost\n# </rootless-net>\n');

    const shown = await stack.must('gc');
    const expected = [
      'attachment: network of dddddddddddd, which does not run',
      'attachment: network of eeeeeeeeeeee, which does not run',
      'reservation: 10.4.0.200 on bridge of dddddddddddd, which does not exist',
      'device: stray of dddddddddddd, which does not run',
      'firewall: "rn-gone" in the set bridges, which belongs to no network',
      'firewall: "rn-gone" . "rn-gone" in the set same, which belongs to no network',
      'firewall: 10.4.1.0/24 in the set subnets4, which belongs to no network',
      'device: rn-gone, whose network does not exist',
      'firewall: rules of rootless0, which are missing',
      'name: empty, which no container has',
      'name: orphan, which no container has',
      `name: stopped of ${(await stack.containers.inspect('stopped')).id.slice(0, 12)}, which is not recorded`,
      `hosts: hosts of ${running.id.slice(0, 12)}`,
    ].sort();
    const hint = 'hint: repair it with: rootless-net gc --repair';
    assert.deepEqual(shown.split('\n').sort(), [...expected, hint].sort());
    assert.deepEqual((await stack.must('gc')).split('\n').sort(), [...expected, hint].sort());
    const repaired = await stack.must('gc', '--repair');
    assert.deepEqual(
      repaired.split('\n').sort(),
      // With the journal's entry goes what it knows of.
      expected.filter((line) => !/^reservation/.test(line)).map((line) => `${line} (repaired)`),
    );
    assert.equal(await stack.must('gc'), 'nothing is left over');
    await inside('ip', 'link', 'delete', 'foreign');
    await onlyLeft(stack, before, 'after the repair');
  });

  it('restores what was removed from running containers', async () => {
    const port = await freePort('0.0.0.0');
    const host = hostAddresses.v4 ?? '127.0.0.1';
    const publish = [{ hostIP: '', hostPort: port, containerPort: 80, protocol: 'tcp' as const }];
    const command = seers('4:80');
    const [own, other] = [
      await startContainer(stack, { name: 'served', publish, command, mounts: HOST_PROGRAMS }),
      running,
    ];
    const seen = async () => (await tcpOutcome(host, port)).data.toString().split(' ')[0];
    const expected = hostAddresses.v4 ?? addressOf(own).replace(/\d+$/, '1');
    await waitFor(async () => (await seen()) === expected, { what: 'the server' });
    const device = ({ id }: ContainerReport) => deviceOf(id, 'eth0');
    const before = await traces(stack);

    for (const [commands, found, problem] of [
      [
        ['ip link delete rootless0'],
        [
          'device: rootless0 of the network bridge, which is missing',
          `device: ${device(own)} of served, which is not on the bridge rootless0`,
          `device: ${device(other)} of running, which is not on the bridge rootless0`,
        ],
        'the bridge rootless0 is missing',
      ],
      [
        ['ip addr flush dev rootless0', `ip link delete ${device(own)}`],
        [
          'device: rootless0 of the network bridge, which does not have the address 10.4.0.1',
          `device: ${device(own)} of served, which is missing`,
        ],
        'the bridge rootless0 does not have the address 10.4.0.1',
      ],
      [
        [`ip link set ${device(own)} down`],
        [`device: ${device(own)} of served, which is down`],
        `the device ${device(own)} is down`,
      ],
      [
        ['nft flush ruleset'],
        [
          'firewall: rules of rootless0, which are missing',
          ...(hostAddresses.v4 ? ['firewall: rules for the return path to clients, which are missing'] : []),
        ],
        'the packet filter has no rules for rootless0',
      ],
      [
        ['nft flush chain inet rootless_net input'],
        ['firewall: rules of rootless0, which are missing'],
        'the packet filter has no rules for rootless0',
      ],
    ] as const) {
      for (const text of commands) await inside(...text.split(' '));
      const shown = (await stack.must('gc')).split('\n').filter((line) => /^(device|firewall):/.test(line));
      assert.deepEqual(shown.sort(), [...found].sort());
      const checked = await stack.net('network', 'check', 'bridge');
      assert.match(checked.stdout + checked.stderr, new RegExp(`served: ${problem}`));
      assert.match(await stack.must('gc', '--repair'), /\(repaired\)$/m);
      assert.equal(await stack.must('gc'), 'nothing is left over');
      assert.equal(await seen(), expected, commands.join(', '));
      assert.equal(await reaches(stack, 'running', addressOf(own)), true);
    }
    assert.deepEqual((await traces(stack)).rules, before.rules);
    await stack.containers.remove('served', { force: true });
  });

  it('keeps a reservation of a container that does not run', async () => {
    assert.equal(existsSync(data('addresses', 'bridge', '10.4.0.3')), true);
    const { attachments } = await stack.containers.start('stopped');
    assert.deepEqual(attachments[0]?.ips, ['10.4.0.3/24']);
    await stack.containers.stop('stopped');
  });

  it('removes records that cannot be parsed, which affect no other container', async () => {
    const before = await traces(stack);
    const broken = await Promise.all(
      torn.map((_, index) =>
        stack.containers.create({ name: `torn${index}`, rootfs: busyboxRootfs(), command: ['true'] }),
      ),
    );
    for (const [index, { directory }] of broken.entries()) {
      writeFileSync(join(directory, 'container.json'), torn[index] ?? '');
    }
    for (const agent of stack.agents()) kill(agent);
    await stack.settled();

    assert.deepEqual((await stack.must('ps', '--json')).split('\n').length, 1);
    assert.deepEqual(
      (await stack.containers.list()).map(({ name }) => name),
      ['running', 'stopped'],
    );
    for (const { id, directory } of broken) {
      const line = `rootless-run: warning: skipping container ${id.slice(0, 12)}: cannot parse ${directory}/container.json; to remove it: rootless-net gc --repair\n`;
      assert.equal(stack.started.output().split(line).length, 2, stack.started.output());
      // The record can be repaired, and the container keeps its name until it is removed.
      assert.ok(stack.files().includes(`names/torn${broken.findIndex((other) => other.id === id)}`));
    }
    const shown = await stack.must('gc', '--repair');
    assert.deepEqual(
      shown.split('\n').sort(),
      [
        ...broken.map(({ directory }) => `directory: ${directory}, whose record cannot be parsed (repaired)`),
        ...broken.map((_, index) => `name: torn${index}, which no container has (repaired)`),
      ].sort(),
    );
    await onlyLeft(stack, before, 'after the repair');
  });

  it('is not needed where other files are torn: each container starts again with its address', async () => {
    const network = { mode: 'networks' as const, networks: [] };
    const publish = [{ hostIP: '127.0.0.1', hostPort: 0, containerPort: 80, protocol: 'tcp' as const }];
    for (const [file, isEnded] of [
      ['containers/ID/run.json', true],
      ['containers/ID/meta.json', true],
      ['containers/ID/network-config.json', false],
      ['attached/ID.json', true],
      ['journal/ID', true],
      ['names/victim', false],
    ] as const) {
      // A torn file is not JSON; a worse one has another form.
      for (const content of file === 'attached/ID.json' ? ['{"torn', '{}'] : ['{}']) {
        const what = `${file}: ${content}`;
        const victim = await startContainer(stack, { name: 'victim', network, publish });
        writeFileSync(data(file.replace('ID', victim.id)), content);
        for (const agent of stack.agents()) kill(agent);
        await stack.settled();
        const [other, , found] = await stack.containers.list();
        assert.deepEqual([other?.pid, other?.attachments], [running.pid, running.attachments], what);
        assert.equal(found?.status, isEnded ? 'exited' : 'running', what);
        const again = await stack.containers.start('victim');
        assert.deepEqual([again.id, again.attachments], [victim.id, victim.attachments], what);
        assert.deepEqual(await stack.containers.gc(), [], what);
        await stack.containers.remove('victim', { force: true });
      }
    }
    const lines = stack.started
      .output()
      .split('\n')
      .filter((line) => /is ended: the record|cannot parse/.test(line));
    assert.equal(lines.length, torn.length + 5, lines.join('\n'));
  });
});

import assert from 'node:assert/strict';
import { appendFileSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ContainerReport } from '../../../protocol/containers.js';
import {
  busyboxRootfs,
  type ContainerStack,
  kill,
  onlyLeft,
  startContainer,
  startContainerStack,
  traces,
} from '../../support/containers.js';

const NOBODY = 'd'.repeat(64);
/** What is found in files after a crash of the machine, or of a full disk. */
const torn = ['{"id": "', '', '[]', 'null', '\0\0\0\0'];

describe('rootless-net gc', () => {
  let stack: ContainerStack;
  let running: ContainerReport;
  before(async () => {
    stack = await startContainerStack();
    running = await startContainer(stack, { name: 'running' });
    const stopped = await startContainer(stack, { name: 'stopped' });
    await stack.containers.stop(stopped.id);
  });
  after(async () => {
    await stack?.[Symbol.asyncDispose]();
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

  it('shows what was changed by hand, and repairs it when it is told to', async () => {
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
      'firewall: "rn-gone" in the set bridges, of no network',
      'firewall: "rn-gone" . "rn-gone" in the set same, of no network',
      'firewall: 10.4.1.0/24 in the set subnets4, of no network',
      'device: rn-gone, whose network is gone',
      'firewall: rules of rootless0, which are missing',
      'name: empty, which no container has',
      'name: orphan, which no container has',
      `name: stopped of ${(await stack.containers.inspect('stopped')).id.slice(0, 12)}, which is not recorded`,
      `hosts: hosts of ${running.id.slice(0, 12)}`,
    ].sort();
    const hint = 'to take it away: rootless-net gc --repair';
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

  it('keeps a reservation of a container that does not run', async () => {
    assert.equal(existsSync(data('addresses', 'bridge', '10.4.0.3')), true);
    const { attachments } = await stack.containers.start('stopped');
    assert.deepEqual(attachments[0]?.ips, ['10.4.0.3/24']);
    await stack.containers.stop('stopped');
  });

  it('removes records that cannot be understood, which stop nobody else', async () => {
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
      const line = `rootless-run: warning: the container ${id.slice(0, 12)} is left out, since ${directory}/container.json cannot be understood; to remove it: rootless-net gc --repair\n`;
      assert.equal(stack.started.output().split(line).length, 2, stack.started.output());
      // It can be mended, and is still its own until it is given up.
      assert.ok(stack.files().includes(`names/torn${broken.findIndex((other) => other.id === id)}`));
    }
    const shown = await stack.must('gc', '--repair');
    assert.deepEqual(
      shown.split('\n').sort(),
      [
        ...broken.map(({ directory }) => `directory: ${directory}, whose container cannot be told (repaired)`),
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
      // What is torn is no JSON; what is worse has another form.
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
      .filter((line) => /ended, since|cannot be understood/.test(line));
    assert.equal(lines.length, torn.length + 5, lines.join('\n'));
  });
});

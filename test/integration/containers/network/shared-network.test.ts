import assert from 'node:assert/strict';
import { readlinkSync } from 'node:fs';
import { waitFor } from '../../../support/index.js';
import {
  addressOf,
  execIn,
  IDLE,
  kill,
  reaches,
  startContainer,
  startContainerStack,
  WEB,
} from '../../../support/stacks/containers.js';
import { withContainerStack } from '../../../support/stacks/with-stack.js';

for (const runtime of ['runc', 'crun']) {
  describe(`a network namespace that containers share, with ${runtime}`, () => {
    const stack = withContainerStack({ keep: true });
    before(async () => {
      await startContainer(stack, { name: 'peer' });
    });
    afterEach(async () => {
      for (const { id, name } of await stack.containers.list()) {
        if (name !== 'peer') await stack.containers.remove(id, { force: true });
      }
    });

    const sharing = (name: string, container: string, command = IDLE) =>
      startContainer(stack, { name, runtime, command, network: { mode: 'container', container } });
    const namespaceOf = async (name: string) =>
      readlinkSync(`/proc/${(await stack.containers.inspect(name)).pid}/ns/net`);
    const links = async (name: string) =>
      (await execIn(stack, name, 'ls', '/sys/class/net')).trim().split(/\s+/).join(' ');
    const state = async (name: string) => (await stack.containers.inspect(name)).sharedNetwork?.state;

    it('stays while one of them runs, and its owner comes back into it', async () => {
      const { containers } = stack;
      const { id, attachments } = await startContainer(stack, { name: 'main', runtime });
      const before = await sharing('guest', 'main', WEB);
      await sharing('third', 'guest');
      assert.deepEqual(before.sharedNetwork, { container: id, name: 'main', state: 'running' });
      assert.deepEqual((await containers.inspect('main')).sharedBy?.toSorted(), ['guest', 'third']);
      const shown = await stack.must(
        'inspect',
        '--format',
        '{{.SharedNetwork.Name}} {{.SharedNetwork.State}}',
        'third',
      );
      assert.equal(shown, 'main running');
      const namespace = await namespaceOf('guest');

      await containers.stop('main');
      assert.deepEqual(
        [await links('guest'), await state('guest'), await state('third')],
        ['lo', 'stopped', 'stopped'],
      );
      // One that is stopped cannot take up what is there: there is nothing to be seen of it.
      await containers.stop('third');
      const after = await containers.start('main');
      await containers.start('third');
      assert.deepEqual(after.attachments, attachments);
      for (const name of ['main', 'guest', 'third']) {
        assert.deepEqual([await namespaceOf(name), await links(name)], [namespace, 'eth0 lo'], name);
      }
      assert.equal(await state('guest'), 'running');
      assert.equal(await execIn(stack, 'peer', 'wget', '-qO-', `http://${addressOf(after)}/`), `${after.hostname}\n`);
      assert(await reaches(stack, 'guest', addressOf(await containers.inspect('peer'))));

      await containers.restart('guest');
      await Promise.all([containers.restart('main'), containers.restart('third')]);
      assert.equal(new Set(await Promise.all(['main', 'guest', 'third'].map(namespaceOf))).size, 1);
      for (const name of ['main', 'guest', 'third']) await containers.stop(name);
      await containers.start('main');
      await containers.start('guest');
      assert.deepEqual([await namespaceOf('guest'), await links('guest')], [await namespaceOf('main'), 'eth0 lo']);
    });

    it('is left to the others if its owner ends by itself, or is removed', async () => {
      const { containers } = stack;
      const { id, pid = 0 } = await startContainer(stack, { name: 'main', runtime, network: { mode: 'none' } });
      await sharing('guest', 'main');
      const namespace = await namespaceOf('guest');
      kill(pid);
      await waitFor(async () => (await state('guest')) === 'stopped', { what: 'its end' });
      await containers.start('main');
      assert.equal(await namespaceOf('main'), namespace);

      await stack.must('rm', '-f', 'main');
      assert.deepEqual((await containers.inspect('guest')).sharedNetwork, { container: id, state: 'removed' });
      assert.equal(await namespaceOf('guest'), namespace);
      await containers.stop('guest');
      await assert.rejects(containers.start('guest'), { httpStatus: 409, message: /has been removed$/ });
    });

    it('is found again by another agent', async () => {
      const { containers } = stack;
      await startContainer(stack, { name: 'main', runtime });
      await sharing('guest', 'main');
      const namespace = await namespaceOf('guest');
      await containers.stop('main');
      stack.agents().forEach(kill);
      await stack.settled();
      await containers.start('main');
      assert.deepEqual([await namespaceOf('main'), await links('guest')], [namespace, 'eth0 lo']);
      // As where its start fails when it is half done.
      await containers.stop('main');
      stack.fault('fail', 'after start create');
      await assert.rejects(containers.start('main'));
      assert.equal(await links('guest'), 'lo');
      await containers.start('main');
      assert.deepEqual([await namespaceOf('main'), await links('guest')], [namespace, 'eth0 lo']);
    });
  });
}

describe('a network namespace that containers with a restart policy share', () => {
  it('is there again with the next stack', async () => {
    const restart = { policy: 'always' } as const;
    const earlier = await startContainerStack();
    await startContainer(earlier, { name: 'main', restart });
    for (const name of ['guest', 'other']) {
      await startContainer(earlier, { name, restart, network: { mode: 'container', container: 'main' } });
    }
    await earlier.killAll();
    await using stack = await startContainerStack({ home: earlier.home });
    const namespaces = async () => {
      const reports = await Promise.all(['main', 'guest', 'other'].map((name) => stack.containers.inspect(name)));
      return reports.map(({ pid }) => (pid === undefined ? '' : readlinkSync(`/proc/${pid}/ns/net`)));
    };
    await waitFor(async () => !(await namespaces()).includes(''), { what: 'all of them' });
    assert.equal(new Set(await namespaces()).size, 1);
    assert.equal((await stack.containers.inspect('other')).restartCount, 0);
  });
});

import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { Attachment } from '../../../../../child/container/network/attach-driver.js';
import { Attacher, type AttacherDeps } from '../../../../../child/container/network/attacher.js';
import { FaultInjector } from '../../../../../child/container/storage/fault-injection.js';
import { Journal } from '../../../../../child/container/storage/journal.js';
import { tempDir } from '../../../../support/index.js';

describe('detaching a container', () => {
  it('waits until it is cut off, and not until the kernel has removed its interface', async () => {
    const done: string[] = [];
    let removed = () => {};
    const bridge = {
      cutOff: ({ ifname }: Attachment) => void done.push(`cut off ${ifname}`),
      detach: () =>
        new Promise<void>((resolve) => {
          removed = resolve;
        }),
      release: async () => void done.push('release'),
    };
    const faults = new FaultInjector(undefined);
    const journal = new Journal(join(tempDir(), 'journal'), faults);
    const attacher = new Attacher({
      networks: { find: async (name: string) => ({ name, bridge: {} }) },
      drivers: { bridge },
      states: { remove: async () => {} },
      ports: { release: async () => {} },
      peers: { leave: async () => {} },
      policies: { end: async () => {} },
      changed: () => {},
      warn: () => {},
      journal,
      faults,
    } as unknown as AttacherDeps);
    const attachments = [{ network: 'bridge', ifname: 'eth0' }];
    const process = { netns: '/proc/7/ns/net', pid: 7, startTime: '1' };
    await journal.begin({ id: 'c1', own: true, stack: 's', name: 'c1', ...process, attachments, publish: [] });

    await attacher.detach('c1', { addresses: true, own: true });
    assert.deepEqual([done, await journal.ids()], [['cut off eth0', 'release'], []]);

    const finished = attacher.finished().then(() => done.push('finished'));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(done.includes('finished'), false);
    removed();
    await finished;
  });
});

import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { Attachment } from '../../../../../child/container/network/attach-driver.js';
import {
  AttachedPolicies,
  type AttachedPoliciesDeps,
} from '../../../../../child/container/network/egress/attached-policies.js';
import { EgressPolicies, type EgressPoliciesDeps } from '../../../../../child/container/network/egress/policies.js';
import { FaultInjector } from '../../../../../child/container/storage/fault-injection.js';
import { Journal } from '../../../../../child/container/storage/journal.js';
import { tempDir } from '../../../../support/index.js';

describe('egress policies of containers that are attached, for the next agent', () => {
  it('cut off those where they cannot be restored, on every network, and no others', async () => {
    const journal = new Journal(join(tempDir(), 'journal'), new FaultInjector(undefined));
    const requests: string[] = [];
    const parent = {
      request: async (name: string, { owner }: { owner?: string }) => {
        requests.push(owner === undefined ? name : `${name} ${owner}`);
        return { ids: ['policed', 'open', 'ended'] };
      },
    };
    const policies = new EgressPolicies({
      parent,
      direct: () => 'up0',
      peersOf: () => [],
    } as unknown as EgressPoliciesDeps);
    policies.repair = async () => {};
    const cut: string[] = [];
    const lines: string[] = [];
    const attached = new AttachedPolicies({
      ...{ journal, policies },
      networks: {
        list: async () => [{ name: 'kept', egress: [] }],
        find: async (name: string) => (name === 'kept' ? { name, egress: [] } : assert.fail(`no network ${name}`)),
      },
      states: { state: async (id: string) => ({ attachments: [{ network: id === 'open' ? 'kept' : 'removed' }] }) },
      cutOff: ({ containerId, ifname }: Attachment) => void cut.push(`${containerId} ${ifname}`),
      warn: (line: string) => void lines.push(line),
    } as unknown as AttachedPoliciesDeps);
    for (const id of ['policed', 'open', 'own', 'free']) {
      const attachments = [
        { network: 'removed', ifname: 'eth0' },
        { network: 'kept', ifname: 'eth1' },
      ];
      const process = { netns: '/proc/7/ns/net', pid: 7, startTime: '1' };
      await journal.begin({ id, own: true, stack: 's', name: id, ...process, attachments, publish: [] });
      await journal.complete(id);
    }

    await attached.recover((id) => ({ name: id, request: { egress: id === 'own' ? ['allow *'] : [] } }));
    assert.deepEqual(cut.sort(), ['own eth0', 'own eth1', 'policed eth0', 'policed eth1']);
    assert.deepEqual(
      ['policed', 'own', 'open', 'free'].map((id) => policies.isCutOff(id)),
      [true, true, false, false],
    );
    assert.deepEqual(requests, ['egress-ids', 'egress-remove open', 'egress-remove ended']);
    assert.equal(lines.length, 2);
    assert.match(lines.join(), /own is cut off, since its egress policies cannot be restored: no network removed/);

    await policies.end('own');
    assert.equal(policies.isCutOff('own'), false);
  });
});

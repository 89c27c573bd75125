import assert from 'node:assert/strict';
import { DialPlans } from '../../../child/connect/dial-plans.js';
import type { ContainerEndpoint } from '../../../child/container/network/return-paths.js';
import { SourceAddresses } from '../../../child/source-address/source-addresses.js';
import { encodeTarget } from '../../../protocol/wire/messages.js';

const target = encodeTarget({
  proto: 'tcp',
  ip: '10.4.0.2',
  parentIP: '',
  hostGatewayIP: '',
  source: 'keep',
  container: 'c0ffee',
});

/** What is answered, and whether plans are forgotten, in order. */
function made(
  endpointOf: () => Promise<ContainerEndpoint | undefined>,
  wayBack = async (): Promise<undefined> => undefined,
) {
  const calls: unknown[] = [];
  const plans = new DialPlans({
    engine: {
      setPlan: (_, ips, keepSource, netns) => calls.push([ips, keepSource, netns]),
      setClient: (_, ip, keep) => calls.push([ip, keep]),
      forgetPlans: () => calls.push('forget'),
    },
    sources: new SourceAddresses(() => false, wayBack, assert.fail),
    isLocal: () => false,
    endpointOf,
    warn: assert.fail,
  });
  return { plans, calls };
}

describe('plans of ports', () => {
  it('lead to each address of a container, and into its namespace if they have to', async () => {
    let place: ContainerEndpoint | undefined = { ips: ['10.4.0.2', 'fd00::2'], inside: '/proc/7/ns/net' };
    const { plans, calls } = made(async () => place);
    await plans.answerPlan(target);
    place = { ips: ['192.0.2.9'], netns: '/proc/7/ns/net', inside: '/proc/7/ns/net' };
    await plans.answerPlan(target);
    await plans.answerClient(target, '192.0.2.1');
    place = undefined;
    await plans.answerPlan(target);
    assert.deepEqual(calls, [
      [['10.4.0.2', 'fd00::2'], true, ''],
      [['192.0.2.9'], false, '/proc/7/ns/net'],
      ['192.0.2.1', false],
      [['10.4.0.2'], true, ''],
    ]);
  });

  it('are found again where something has changed meanwhile', async () => {
    let asked = 0;
    const { plans, calls } = made(async () => {
      if (asked++ === 0) plans.changed();
      return { ips: [`10.4.0.${asked}`], inside: '' };
    });
    await plans.answerPlan(target);
    assert.deepEqual(calls, ['forget', [['10.4.0.2'], true, '']]);
  });

  it('report of no client what was true before a change', async () => {
    let asked = 0;
    const { plans, calls } = made(
      async () => ({ ips: ['10.4.0.2'], inside: '' }),
      async () => {
        if (asked++ === 0) plans.changed();
        return undefined;
      },
    );
    await plans.answerClient(target, '192.0.2.1');
    assert.deepEqual(calls, ['forget', ['192.0.2.1', false]]);
    assert.equal(asked, 2);
  });
});

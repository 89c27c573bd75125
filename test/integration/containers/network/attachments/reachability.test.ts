import assert from 'node:assert/strict';
import { addressOf, reaches } from '../../../../support/stacks/containers.js';
import { withAttachments } from './attached.js';

describe('containers on networks', () => {
  const { stack, make, startOn, inspect, inNetwork, defaultRoutes, makeOutside } = withAttachments();

  it('reach each other on one network, and the outside, but not those on other networks', async () => {
    await makeOutside();
    await make({ name: 'n1' });
    await make({ name: 'n2' });
    const [, a2, b1] = await Promise.all([startOn('a1', 'n1'), startOn('a2', 'n1'), startOn('b1', 'n2')]);
    const results = await Promise.all([
      reaches(stack, 'a1', addressOf(a2)),
      reaches(stack, 'a1', '192.0.2.2'),
      reaches(stack, 'a1', addressOf(b1)),
      reaches(stack, 'b1', addressOf(a2)),
    ]);
    assert.deepEqual(results, [true, true, false, false]);
  });

  it('cannot leave an internal network, not even with a route of their own', async () => {
    await makeOutside();
    const { subnets } = await make({ name: 'inner', internal: true });
    const gateway = subnets[0]?.gateway ?? '';
    const [a, b] = await Promise.all([startOn('a', 'inner'), startOn('b', 'inner')]);
    assert.deepEqual(await defaultRoutes('a'), []);
    assert.equal(await reaches(stack, 'a', addressOf(b)), true);
    assert.match((await inNetwork(a, 'ip', 'route', 'add', 'default', 'via', gateway)) || 'made', /made/);
    assert.equal(await reaches(stack, 'a', '192.0.2.2'), false);
    // And from outside to it neither.
    const { stdout } = await stack.enter(['sh', '-c', `ip route get ${addressOf(a)}`]);
    assert.match(stdout, /dev rn-/);
    const outside = await inspect('outside');
    await inNetwork(outside, 'ip', 'route', 'add', `${addressOf(a)}/32`, 'via', '192.0.2.1');
    assert.equal(await reaches(stack, 'outside', addressOf(a)), false);
  });

  it('cannot be reached from outside except through published ports', async () => {
    await makeOutside();
    const a = await startOn('a', 'bridge');
    await inNetwork(await inspect('outside'), 'ip', 'route', 'add', `${addressOf(a)}/32`, 'via', '192.0.2.1');
    assert.deepEqual(await Promise.all([reaches(stack, 'outside', addressOf(a)), reaches(stack, 'a', '192.0.2.2')]), [
      false,
      true,
    ]);
  });

  it('are kept apart on a network without icc, also through the gateway', async () => {
    await makeOutside();
    const { subnets } = await make({ name: 'apart', icc: false });
    const [a, b] = await Promise.all([startOn('a', 'apart'), startOn('b', 'apart')]);
    const gateway = subnets[0]?.gateway ?? '';
    assert.deepEqual(
      await Promise.all([
        reaches(stack, 'a', addressOf(b)),
        reaches(stack, 'b', addressOf(a)),
        reaches(stack, 'a', gateway),
        reaches(stack, 'a', '192.0.2.2'),
      ]),
      [false, false, true, true],
    );
    await inNetwork(a, 'ip', 'route', 'add', `${addressOf(b)}/32`, 'via', gateway);
    await inNetwork(b, 'ip', 'route', 'add', `${addressOf(a)}/32`, 'via', gateway);
    assert.equal(await reaches(stack, 'a', addressOf(b)), false);
  });
});

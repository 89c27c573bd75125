import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ContainerStack, startContainerStack } from '../../../../support/stacks/containers.js';

describe('external network configurations', () => {
  it('may be invalid without affecting other networks', async () => {
    await using stack: ContainerStack = await startContainerStack();
    mkdirSync(stack.confDir, { recursive: true });
    const ipams: unknown[] = [
      { ranges: [{ subnet: '10.9.0.0/24' }] },
      { ranges: [null, [null], [{}], [{ subnet: 5 }], [{ subnet: 'nonsense' }], 'x'] },
      { subnet: 'nonsense' },
      { subnet: '10.9.1.0/24', gateway: 5 },
    ];
    for (const [index, ipam] of ipams.entries()) {
      const plugins = [{ type: 'bridge', ipam: { type: 'host-local', ...(ipam as object) } }];
      const list = { cniVersion: '1.0.0', name: `n${index}`, nerdctlLabels: 'x', rootlessNet: index, plugins };
      writeFileSync(join(stack.confDir, `${index}.conflist`), JSON.stringify(list));
    }
    const { name } = await stack.containers.createNetwork({ name: 'mine' });
    const list = await stack.containers.networks();
    assert.deepEqual(
      list.map((network) => [network.name, network.own, network.subnets.length]),
      [...ipams.map((_, index) => [`n${index}`, false, 0]), [name, true, 1]],
    );
    assert.equal(await stack.must('network', 'ls', '-q', '--filter', 'label=x'), '');
  });
});

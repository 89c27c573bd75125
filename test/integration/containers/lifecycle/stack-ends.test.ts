import assert from 'node:assert/strict';
import { type ContainerStack, IDLE, startContainer, startContainerStack } from '../../../support/stacks/containers.js';

describe('a stack that ends', () => {
  it('ends the containers, and their followers receive the exit codes', async () => {
    await using stack: ContainerStack = await startContainerStack();
    const { name } = await startContainer(stack, { command: IDLE });
    const stream = await stack.containers.attach(name);
    stack.started.child.kill('SIGTERM');
    assert.equal(await stream.exit, 0);
    assert.equal((await stack.started.ended).code, 0);
  });
});

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from '../../../support/index.js';
import { type ContainerStack, kill, startContainer, startContainerStack } from '../../../support/stacks/containers.js';
import { ask } from '../api/agent-socket.js';

describe('a container of another OCI runtime', () => {
  it('is known to its peers after the agent was replaced, and is not garbage', async () => {
    await using stack: ContainerStack = await startContainerStack();
    // Any process with a network namespace of its own will do.
    const { pid } = await startContainer(stack, { network: { mode: 'none' } });
    const state = JSON.stringify({ id: 'foreign', pid, annotations: { 'rootless-net/name': 'other' } });
    assert.equal((await ask(stack, 'POST', '/v1/hooks/createRuntime', state)).status, 200);
    const { directory, name } = await startContainer(stack);
    const hosts = () => readFileSync(join(directory, 'hosts'), 'utf8');
    const before = hosts();
    assert.match(before, /\tother\n/);
    assert.equal(await stack.must('gc'), 'nothing is left over');

    const agents = stack.agents();
    agents.forEach(kill);
    await waitFor(() => stack.agents().some((agent) => !agents.includes(agent)), { what: 'another agent' });
    await waitFor(() => stack.containers.inspect(name), { what: 'its answer' });
    assert.equal(await stack.must('gc'), 'nothing is left over');
    assert.equal(hosts(), before);

    assert.equal((await ask(stack, 'POST', '/v1/hooks/poststop', state)).status, 200);
    assert.doesNotMatch(hosts(), /other/);
    assert.equal(existsSync(join(stack.dataDir, 'containers', 'foreign')), false);
  });
});

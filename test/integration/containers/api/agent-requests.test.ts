import assert from 'node:assert/strict';
import { startContainer } from '../../../support/stacks/containers.js';
import { withContainerStack } from '../../../support/stacks/with-stack.js';
import { ask } from './agent-socket.js';

describe('what clients send to the agent', () => {
  const stack = withContainerStack({ keep: true });

  it('is refused if it is not a path, and the agent continues', async () => {
    const agents = stack.agents();
    for (const path of ['//', '/v1/containers/%zz', '/v1/containers/%zz/start', 'http://', '*']) {
      const { status, message } = await ask(stack, 'POST', path);
      assert.equal(status, 404, path);
      assert.match(message, /^\{"message":".*"\}$/);
    }
    assert.deepEqual(stack.agents(), agents);
    assert.doesNotMatch(stack.started.output(), /internal error|the agent/);
  });

  it('is refused if it is not a state of a container', async () => {
    const [pid] = stack.agents();
    // One with a network namespace of its own, as that of another OCI runtime would be.
    const { id, pid: other = 0 } = await startContainer(stack, { network: { mode: 'none' } });
    const state = (change: object) => JSON.stringify({ id: 'x', pid, ...change });
    const annotated = (name: string, value: string) =>
      state({ pid: other, annotations: { [`rootless-net/${name}`]: value } });
    for (const [body, what] of [
      ['', /invalid container state: .*; id is wrong/],
      ['nonsense', /not JSON/],
      [state({ id: '..' }), /invalid container state: .*; id is wrong/],
      [state({ id: 'a/b' }), /invalid container state: .*; id is wrong/],
      [state({ pid: 0 }), /the state of x has no pid/],
      [state({ pid: 4_194_304 }), /cannot read the network namespace of x: .*no such file/],
      [state({}), /the container x has no network namespace of its own/],
      [annotated('name', 'a b\nc'), /annotation rootless-net\/name: "a b\\nc" is not a name/],
      [annotated('hostname', '#'), /annotation rootless-net\/hostname: "#" is not a host name/],
      [annotated('mac', 'zz'), /annotation rootless-net\/.*mac: "zz" is not a unicast MAC address/],
      [annotated('ip', '::1'), /annotation rootless-net\/.*ip: "::1" is not an IPv4 address/],
      [annotated('networks', '["../x"]'), /annotation rootless-net\/.*network: "..\/x" is not a name/],
      [annotated('networks', 'x'), /invalid annotation rootless-net\/networks: expected a JSON list of strings, not x/],
      [annotated('ports', '["80:80:80:80"]'), /annotation rootless-net\/ports: invalid published port/],
    ] as const) {
      const { status, message } = await ask(stack, 'POST', '/v1/hooks/createRuntime', body);
      assert.deepEqual([status, message.split('\n').length], [400, 2], message);
      assert.match(message, what);
    }
    assert.equal((await ask(stack, 'POST', '/v1/hooks/poststop', state({ id: '..' }))).status, 400);
    await stack.containers.remove(id, { force: true });
    assert.deepEqual(stack.files(), []);
  });
});

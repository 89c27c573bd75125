import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { echo, openConnection, startStack, tcpOutcome, tcpRequest, waitFor } from '../../../support/index.js';
import { startContainerStack } from '../../../support/stacks/containers.js';
import { agentOf, descriptorsOf, ECHO, freeze, gone, only } from './processes.js';

describe('when the agent hangs', function () {
  this.timeout(60_000);
  // What takes longest is to wait, so they do that at the same time.
  const runs: Record<string, () => Promise<void>> = {};
  const running = new Map<string, Promise<void>>();
  before(() => {
    for (const [what, scenario] of Object.entries(runs)) {
      const promise = scenario();
      promise.catch(() => {});
      running.set(what, promise);
    }
  });
  function scenario(what: string, task: () => Promise<void>): void {
    runs[what] = task;
    it(what, () => running.get(what));
  }

  scenario(
    'another one takes its place within 10 s, clients that wait are reset, and open connections go on',
    async () => {
      await using stack = await startStack();
      await using _server = await stack.program('tcp-server', 'echo', '127.0.0.1', ECHO);
      const { port } = await stack.publish(`127.0.0.2:0:${ECHO}`);
      const held = await openConnection('127.0.0.2', port);
      assert.equal(await echo(held, 'before'), 'before');
      const open = descriptorsOf(stack.started.pid);
      const agent = only(stack, 'child/agent.js');
      await freeze(agent.pid);

      const start = performance.now();
      // More than are asked for at once; some of them leave before.
      const waiting = Array.from({ length: 800 }, () => tcpOutcome('127.0.0.2', port, 'x'));
      const left = Array.from({ length: 200 }, () => connect(port, '127.0.0.2').on('error', () => {}));
      await waitFor(() => descriptorsOf(stack.started.pid) >= open + 900, { what: 'the clients to wait' });
      for (const socket of left) socket.resetAndDestroy();
      // Those are noticed before the agent is given up.
      await waitFor(() => descriptorsOf(stack.started.pid) <= open + 810, { what: 'the first to be gone' });
      assert.equal(await echo(held, 'meanwhile'), 'meanwhile');
      for (const outcome of await Promise.all(waiting)) assert.equal(outcome.error, 'ECONNRESET');
      assert.equal((await tcpRequest('127.0.0.2', port, 'after')).toString(), 'after');
      assert(performance.now() - start < 10_000, `it took ${performance.now() - start} ms`);

      await gone([agent]);
      assert.equal(await echo(held, 'still here'), 'still here');
      await waitFor(() => descriptorsOf(stack.started.pid) <= open + 2, { what: 'the descriptors to be free' });
      assert.match(stack.started.output(), /the agent was lost \(it did not answer in \d+ s\); starting another one/);
      held.destroy();
    },
  );

  scenario('requests about containers end with a line, and later ones are served', async () => {
    await using stack = await startContainerStack();
    const [agent = 0] = stack.agents();
    await freeze(agent);
    const { code, stderr } = await stack.net('ps');
    assert.notEqual(code, 0);
    assert.match(stderr, /^error: the agent was lost before it answered \([A-Z]+\); try again\n$/);
    assert.match(await stack.must('ps'), /NAME/);
  });

  scenario('and the launcher, too, is stopped by a program inside, both go on', async () => {
    await using stack = await startStack();
    await using _server = await stack.program('tcp-server', 'echo', '127.0.0.1', ECHO);
    const { port } = await stack.publish(`127.0.0.2:0:${ECHO}`);
    await tcpRequest('127.0.0.2', port, 'x');
    await freeze(agentOf(stack));
    await freeze(stack.childPid);
    assert.equal((await tcpOutcome('127.0.0.2', port, 'x')).error, 'ECONNRESET');
    assert.equal((await tcpRequest('127.0.0.2', port, 'after')).toString(), 'after');
  });

  scenario('is not assumed of one that was stopped together with rootless-run', async () => {
    await using stack = await startStack();
    await using _server = await stack.program('tcp-server', 'echo', '127.0.0.1', ECHO);
    const { port } = await stack.publish(`127.0.0.2:0:${ECHO}`);
    await tcpRequest('127.0.0.2', port, 'x');
    const agent = agentOf(stack);
    const all = [agent, stack.childPid, stack.started.pid];
    for (const pid of all) await freeze(pid);
    await new Promise((resolve) => setTimeout(resolve, 9_000));
    for (const pid of all.reverse()) process.kill(pid, 'SIGCONT');
    assert.equal((await tcpRequest('127.0.0.2', port, 'after')).toString(), 'after');
    assert.equal(agentOf(stack), agent);
    assert.equal(stack.started.output().trim(), '');
  });
});

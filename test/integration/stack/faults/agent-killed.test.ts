import assert from 'node:assert/strict';
import { echo, openConnection, startStack, tcpOutcome, tcpRequest, udpAsk, waitFor } from '../../../support/index.js';
import { agentOf, ECHO, freeze } from './processes.js';

describe('when the agent is killed', () => {
  it('connections continue, and new ones work again as soon as another one is there', async () => {
    await using stack = await startStack();
    await using _server = await stack.program('tcp-server', 'echo', '127.0.0.1', ECHO);
    await using _udpServer = await stack.program('udp-server', 'echo', '127.0.0.1', ECHO);
    const { port } = await stack.publish(`127.0.0.2:0:${ECHO}`);
    const udp = await stack.publish(`127.0.0.2:0:${ECHO}/udp`);
    const held = await openConnection('127.0.0.2', port);
    assert.equal(await echo(held, 'before'), 'before');

    // Each time anew, and not only the first time.
    for (let time = 1; time <= 3; time++) {
      const agent = agentOf(stack);
      process.kill(agent, 'SIGKILL');
      // It waits for the next agent.
      assert.equal((await tcpRequest('127.0.0.2', port, 'meanwhile')).toString(), 'meanwhile');
      assert.equal((await udpAsk('127.0.0.2', udp.port, 'datagram')).toString(), 'datagram');
      assert.equal(await echo(held, `still here ${time}`), `still here ${time}`);
      assert.notEqual(agentOf(stack), agent);
      const lines = stack.started.output().split('\n').filter(Boolean);
      assert.equal(lines.length, time, stack.started.output());
      assert.match(lines.at(-1) ?? '', /^rootless-run: warning: the agent was lost \(.+\); starting another one$/);
    }
    held.destroy();
  });

  it('nothing is lost of many connections that are being made', async () => {
    await using stack = await startStack();
    await using _server = await stack.program('tcp-server', 'echo', '127.0.0.1', ECHO);
    const { port, id } = await stack.publish(`127.0.0.2:0:${ECHO}`);
    await tcpRequest('127.0.0.2', port, 'x');
    const agent = agentOf(stack);
    await freeze(agent);
    // All of these wait for it: more than may be under way at once.
    const requests = Array.from({ length: 800 }, (_, i) => tcpRequest('127.0.0.2', port, `${i}`));
    process.kill(agent, 'SIGKILL');
    const answers = await Promise.all(requests);
    assert.deepEqual(
      answers.map(String),
      answers.map((_, i) => `${i}`),
    );
    assert.equal((await stack.counters(id)).refused, 0);
  });

  it('the events report it', async () => {
    await using stack = await startStack();
    const { id } = await stack.publish(`127.0.0.2:0:${ECHO}`);
    const abort = new AbortController();
    const seen: string[] = [];
    const following = (async () => {
      for await (const event of stack.api.events({ signal: abort.signal })) {
        seen.push(event.type === 'driver-state' ? `${event.driver} ${event.state}` : event.type);
      }
    })();
    // Nothing shows that the stream is there except what comes through it.
    await waitFor(async () => {
      await stack.api.removePort((await stack.publish(`127.0.0.3:0:${ECHO}`)).id);
      return seen.length > 0;
    });
    process.kill(agentOf(stack), 'SIGKILL');
    await waitFor(() => seen.includes('builtin lost'), { what: 'the loss' });
    await waitFor(() => seen.slice(seen.indexOf('builtin lost')).includes('builtin ready'), { what: 'the next agent' });
    assert.equal((await stack.report(id)).listener?.state, 'listening');
    abort.abort();
    await following;
  });

  it('a port can be removed and added while there is none', async () => {
    await using stack = await startStack();
    await using _server = await stack.program('tcp-server', 'echo', '127.0.0.1', ECHO);
    const first = await stack.publish(`127.0.0.2:0:${ECHO}`);
    await tcpRequest('127.0.0.2', first.port, 'x');
    const agent = agentOf(stack);
    await freeze(agent);
    const waiting = tcpOutcome('127.0.0.2', first.port, 'x');
    const second = await stack.publish(`127.0.0.2:0:${ECHO}`);
    await stack.api.removePort(first.id);
    assert.deepEqual(await waiting, { data: Buffer.alloc(0), ended: false, error: 'ECONNRESET' });
    process.kill(agent, 'SIGKILL');
    assert.equal((await tcpRequest('127.0.0.2', second.port, 'y')).toString(), 'y');
  });
});

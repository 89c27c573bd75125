import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { isAlive, processTree, run, startStack, tcpRequest, waitFor } from '../../support/index.js';
import { pythonProgram } from '../../support/paths.js';

/**
 * Root inside takes the agent's end of the socketpair (pidfd_getfd(2)) and sends on it as fast as the parent reads.
 * argv: pid of the agent, seconds, what to send: "log" or "requests".
 */
const TAKE_OVER = pythonProgram('processes/take-over-agent');

function peakMemory(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

describe('when the agent is taken over and floods the parent', () => {
  for (const what of ['log', 'requests']) {
    it(`with ${what}: memory and log stay bounded, the API answers, other connections continue`, async () => {
      await using stack = await startStack();
      await using _server = await stack.program('tcp-server', 'echo', '127.0.0.1', 7002);
      const { port } = await stack.publish('127.0.0.2:0:7002');
      await tcpRequest('127.0.0.2', port, 'x');
      const pid = stack.started.pid;
      const before = peakMemory(pid);
      const agent = processTree(pid).find(({ args }) => args.some((word) => word.endsWith('child/agent.js')));
      assert.ok(agent);
      await using flood = await stack.inside(['python3', '-c', TAKE_OVER, String(agent.pid), '3', what], {
        output: /sending/,
      });
      let slowest = 0;
      while (!/^\d+$/m.test(flood.output())) {
        const started = performance.now();
        await stack.api.info();
        slowest = Math.max(slowest, performance.now() - started);
      }
      assert.ok(slowest < 3_000, `the API answered after ${slowest.toFixed()} ms`);
      const growth = peakMemory(pid) - before;
      assert.ok(growth < 200, `${growth.toFixed()} MiB more`);
      const lines = stack.started.output().split('\n');
      assert.ok(lines.length < 300, `${lines.length} lines were logged`);
      assert.ok(
        lines.every((line) => line.length < 1000),
        'long lines were logged',
      );
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
      assert.doesNotMatch(stack.started.output(), /[\u001b\u0080-\u009f]/);
      assert.ok(isAlive(pid));
      // The agent that was taken over is useless; another one serves new connections.
      if (isAlive(agent.pid)) await run('kill', ['-KILL', String(agent.pid)]);
      await waitFor(async () => (await tcpRequest('127.0.0.2', port, 'after').catch(() => '')).toString() === 'after', {
        what: 'a connection after the flood',
      });
    });
  }
});

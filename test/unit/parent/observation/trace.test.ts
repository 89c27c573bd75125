import assert from 'node:assert/strict';
import { tracePort } from '../../../../parent/observation/trace/index.js';
import type { PortDriver } from '../../../../parent/port/driver.js';
import type { PublishedPort } from '../../../../protocol/ports/port-mapping.js';

describe('a trace', () => {
  it('gives the reason of a listener that waits once, and no hint that repeats it', async () => {
    const host = { ip: '127.0.0.1', port: 80 };
    const port: PublishedPort = { id: 1, transport: 'tcp', host, target: { ip: '', port: 80 }, count: 1 };
    const report = () => ({ listener: { state: 'waiting', reason: 'too many open files' } });
    const { answers, steps, hint } = await tracePort(
      { transport: 'tcp', ...host },
      {
        ports: { list: () => [port], report } as unknown as PortDriver,
        waiting: () => [],
        agent: { state: 'ready', trace: assert.fail },
        nameOf: async () => undefined,
        isBound: () => false,
      },
    );
    assert.deepEqual([answers, steps.at(-1)?.text, hint], [false, 'too many open files', undefined]);
  });
});

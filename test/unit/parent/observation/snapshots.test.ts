import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { nameOf } from '../../../../parent/flows/processes.js';
import { Snapshots } from '../../../../parent/observation/web/snapshots.js';
import type { Flow, PortReport } from '../../../../protocol/api/types.js';

const COUNTERS = { opened: 0, refused: 0, bytesIn: 0, bytesOut: 0 };

describe('snapshots for the page', () => {
  it('count connections that are not listed', async () => {
    const spec = { proto: 'tcp', parentPort: 1, childPort: 1 };
    const ports: PortReport[] = [5000, 2].map((open, id) => ({ id, spec, counters: { open, ...COUNTERS } }));
    const flows = (['in', 'out'] as const).map((direction) => ({ direction, connection: 1 }) as Flow);
    const snapshots = new Snapshots({
      info: () => ({ apiVersion: '1', version: '1', stateDir: '/', childPID: 1 }),
      ports: () => ports,
      flows: async () => flows,
      agentGet: async () => undefined,
    });
    const { connectionCount, flows: listed } = await snapshots.take();
    assert.deepEqual([connectionCount, listed.length], [5003, 2]);
  });
});

describe('names of programs', () => {
  it('may have any characters', () => {
    const own = readFileSync('/proc/self/comm');
    try {
      writeFileSync('/proc/self/comm', 'größe');
      assert.equal(nameOf(process.pid), 'größe');
    } finally {
      writeFileSync('/proc/self/comm', own);
    }
  });
});

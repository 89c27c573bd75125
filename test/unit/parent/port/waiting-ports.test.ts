import assert from 'node:assert/strict';
import type { EventBody, PortDriver } from '../../../../parent/port/driver.js';
import { PortBindError } from '../../../../parent/port/errors.js';
import { PortTable } from '../../../../parent/port/table.js';
import { WaitingPorts } from '../../../../parent/port/waiting-ports.js';
import { type PortMapping, singles } from '../../../../protocol/ports/port-mapping.js';
import { parsePortSpecJSON } from '../../../../protocol/ports/rootlesskit-json.js';

/** A host that refuses some ports; a range is refused because of the first of them. */
function waitingPorts(errnoOf: (hostPort: number) => string | undefined) {
  const table = new PortTable();
  const driver = {
    add: (mapping: PortMapping, id = table.newId(mapping.count)) => {
      for (let offset = 0; offset < mapping.count; offset++) {
        const errno = errnoOf(mapping.host.port + offset);
        if (errno !== undefined) return Promise.reject(new PortBindError(errno, `refused: ${errno}`, { offset }));
      }
      const port = { ...mapping, id };
      table.add(port);
      return Promise.resolve(port);
    },
    newId: (count?: number) => table.newId(count),
    list: () => table.list(),
  } satisfies Partial<PortDriver>;
  const events: EventBody[] = [];
  const waiting = new WaitingPorts({
    driver: driver as unknown as PortDriver,
    watchAddresses: () => {},
    emit: (event) => events.push(event),
    log: { info: () => {}, warn: () => {} },
  });
  const hostPorts = (ports: PortMapping[]) => [...singles(ports)].map(({ host }) => host.port).sort((a, b) => a - b);
  return {
    waiting,
    events,
    published: () => hostPorts(table.list()),
    waitingFor: () => hostPorts(waiting.list()),
  };
}

describe('of a range of persistent ports', () => {
  const range = parsePortSpecJSON({ proto: 'tcp', parentPort: 1021, childPort: 1, count: 8 });
  const all = [1021, 1022, 1023, 1024, 1025, 1026, 1027, 1028];

  for (const [title, refused, errnoOf] of [
    ['privileged ports wait', [1021, 1022, 1023], (port: number) => (port < 1024 ? 'EACCES' : undefined)],
    ['ports in use wait', [1024, 1028], (port: number) => ([1024, 1028].includes(port) ? 'EADDRINUSE' : undefined)],
    ['those wait that exceed a limit', [1026, 1027, 1028], (port: number) => (port >= 1026 ? 'EMFILE' : undefined)],
    ['all wait for an address', all, () => 'EADDRNOTAVAIL'],
  ] as const) {
    it(`${title}, and no others`, async () => {
      const { waiting, events, published, waitingFor } = waitingPorts(errnoOf);
      await waiting.publish([range]);
      assert.deepEqual(waitingFor(), [...refused]);
      assert.deepEqual(
        published(),
        all.filter((port) => !(refused as readonly number[]).includes(port)),
      );
      assert.equal(events.filter(({ type }) => type === 'port-state').length, refused.length);
      waiting.close();
    });
  }
});

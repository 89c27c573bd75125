/**
 * What every port driver has to do, with sockets of real programs on both sides. Each group has a stack of its own;
 * each test publishes what it needs, on a free port of the host, and removes it.
 */
import { addresses } from './suite/addresses.js';
import type { Group, Suite } from './suite/common.js';
import { connections } from './suite/connections.js';
import { datagrams } from './suite/datagrams.js';
import { ends } from './suite/ends.js';
import { observation } from './suite/observation.js';
import { pairs } from './suite/pairs.js';
import { ports } from './suite/ports.js';
import { protocols } from './suite/protocols.js';
import { servers } from './suite/servers.js';

export { driverCapabilities } from './suite/capabilities.js';
export type { Group, Suite } from './suite/common.js';

export const groups = {
  addresses,
  protocols,
  servers,
  pairs,
  connections,
  ends,
  datagrams,
  observation,
  ports,
} satisfies Record<string, Group>;

/** Everything, or the groups that are given, against one port driver. */
export function portDriverSuite(name: string, suite: Suite, selection: readonly Group[] = Object.values(groups)): void {
  describe(name, () => {
    for (const group of selection) group(suite);
  });
}

/**
 * What every port driver has to do, with sockets of real programs on both sides. Each group has a stack of its own;
 * each test publishes what it needs, on a port of the host that is free, and takes it back.
 */
import { addresses } from './port-suite/addresses.js';
import type { Group, Suite } from './port-suite/common.js';
import { connections } from './port-suite/connections.js';
import { datagrams } from './port-suite/datagrams.js';
import { ends } from './port-suite/ends.js';
import { observation } from './port-suite/observation.js';
import { pairs } from './port-suite/pairs.js';
import { ports } from './port-suite/ports.js';
import { protocols } from './port-suite/protocols.js';
import { servers } from './port-suite/servers.js';

export { driverCapabilities } from './port-suite/capabilities.js';
export type { Group, Suite } from './port-suite/common.js';

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

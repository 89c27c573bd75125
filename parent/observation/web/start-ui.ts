/** Puts the page of a stack together. */
import type { Info } from '../../../protocol/api/types.js';
import type { EventBus } from '../../api/event-bus.js';
import { listPorts } from '../../api/ports.js';
import type { ServedAddress } from '../../stack/options.js';
import type { Observation, ObservationDeps } from '../observation.js';
import { Snapshots } from './snapshots.js';
import { serveUI } from './ui-server.js';

export interface UIRequest {
  address: ServedAddress;
  observation: Observation;
  log: (line: string) => void;
}

/** Resolves, when it listens, with its URL and with what ends it. Throws UserError. */
export function startUI(
  { containers, events, info, ports }: ObservationDeps & { events: EventBus; info: () => Info },
  { address, observation, log }: UIRequest,
): ReturnType<typeof serveUI> {
  const snapshots = new Snapshots({
    info,
    ports: () => (ports.driver ? (listPorts({ ports: ports.driver }, true) ?? []) : []),
    flows: (most, programs) => observation.flows(most, programs),
    agentGet: async (path, test) => containers?.ask(path, test),
  });
  return serveUI({ address, events, snapshot: () => snapshots.take(), log });
}

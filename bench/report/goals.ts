// The goals of this package, by row and column.

import { bypassName } from '../candidates.js';

/** Medians over the rounds count; ratios and differences are taken within a round. */
export type Goal =
  /** At least this ratio to the candidate; at most, if less is better. `of` names another candidate of this package. */
  | { than: string; ratio: number; of?: string }
  /** The same for each peer that was measured, without "direct". */
  | { thanEachPeer: number }
  /** At most so much more than the candidate. */
  | { than: string; plus: number }
  /** At least, or at most, this value; with `orBestPeer` the best peer's value is enough. */
  | { value: number; orBestPeer?: true };

/** Without relaying. */
function bypassed(ratio: number): Goal {
  return { of: bypassName, than: 'direct', ratio };
}

export const goals: Readonly<Record<string, Readonly<Record<string, readonly Goal[]>>>> = {
  tcp: { rate: [{ than: 'direct', ratio: 0.82 }, { thanEachPeer: 1 }, bypassed(0.97)], cpu: [{ value: 0.07 }] },
  'tcp-reverse': { rate: [{ than: 'direct', ratio: 0.82 }, bypassed(0.97)] },
  'tcp-4': { rate: [{ thanEachPeer: 1.1 }] },
  'tcp-16': { rate: [{ thanEachPeer: 1.1 }] },
  'tcp-bbr': { rate: [{ than: 'direct', ratio: 0.95 }] },
  'tcp-bbr-reverse': { rate: [{ than: 'direct', ratio: 1 }] },
  'tcp-1k': { rate: [{ than: 'direct', ratio: 1 }] },
  'tcp-veth': { rate: [{ than: 'rootlesskit', ratio: 1 }] },
  connections: {
    rate: [
      { than: 'direct', ratio: 0.45 },
      { than: 'rootlesskit', ratio: 2 },
      { than: 'pasta', ratio: 1.2 },
      bypassed(0.9),
    ],
  },
  'connect-latency': { rate: [{ than: 'pasta', ratio: 1 }] },
  ping: { p50: [{ value: 13, orBestPeer: true }] },
  udp: { rate: [{ than: 'direct', ratio: 0.85 }] },
  'udp-8k': { rate: [{ than: 'direct', ratio: 0.6 }] },
  memory: { each: [{ value: 2 }], held: [{ value: 9500 }] },
  ports: {
    oneByOne: [{ than: 'rootlesskit', ratio: 1 }],
    atOnce: [{ than: 'rootlesskit', ratio: 1 }],
    atStart: [{ than: 'rootlesskit', ratio: 1 }],
  },
  start: { alone: [{ than: 'node', plus: 15 }], network: [{ than: 'node', plus: 30 }] },
  container: { attach: [{ value: 10 }], processes: [{ value: 3 }] },
};

// The goals of this package, by row and column.

import { bypassName } from '../candidates/candidate.js';

/** Compares with another column of ours in the same round: at least or at most this ratio, or so much more. */
export type ColumnGoal = { thanColumn: string; title: string } & ({ ratio: number } | { plus: number });

/** Medians over the rounds count; ratios and differences are taken within a round. */
export type Goal =
  /**
   * At least this ratio to the candidate; at most, if less is better. `of` names another candidate of this package. One that
   * compares with "before" counts only if that is measured.
   */
  | { than: string; ratio: number; of?: string }
  /** The same for each peer that was measured, without "direct". */
  | { thanEachPeer: number }
  /** At most so much more than the candidate. */
  | { than: string; plus: number }
  /** At least, or at most, this value; with `orBestPeer` the best peer's value is enough. */
  | { value: number; orBestPeer?: true }
  | ColumnGoal;

/** Without relaying. */
function bypassed(ratio: number): Goal {
  return { of: bypassName, than: 'direct', ratio };
}

const before = (ratio: number): Goal => ({ than: 'before', ratio });
const ofDirect = (ratio: number): Goal => ({ than: 'direct', ratio });
const eachPeer = (ratio: number): Goal => ({ thanEachPeer: ratio });
const pasta = (ratio: number): Goal => ({ than: 'pasta', ratio });
const slirp4netns = (ratio: number): Goal => ({ than: 'slirp4netns', ratio });
const rootlesskit: Goal = { than: 'rootlesskit', ratio: 1 };

/** Throughput, latency and memory as with one; 2 KiB each is what a connection may take in the row "memory". */
function flat(of: string, at: number): Record<string, readonly Goal[]> {
  const with1 = (quantity: string) => ({ thanColumn: `${quantity} at 1 ${of}`, title: 'with 1' });
  return {
    [`rate at ${at} ${of}`]: [{ ...with1('rate'), ratio: 0.9 }],
    [`p50 at ${at} ${of}`]: [{ ...with1('p50'), ratio: 1.1 }],
    [`memory at ${at} ${of}`]: [{ ...with1('memory'), plus: (2 * at) / 1000 }],
  };
}

export const goals: Readonly<Record<string, Readonly<Record<string, readonly Goal[]>>>> = {
  tcp: { rate: [before(1.12), ofDirect(0.93), eachPeer(1), bypassed(0.97)], cpu: [before(0.7), pasta(1)] },
  'tcp-reverse': { rate: [before(1.12), ofDirect(0.98), eachPeer(1), bypassed(0.97)] },
  'tcp-4': { rate: [eachPeer(1)] },
  'tcp-16': { rate: [eachPeer(1)] },
  'tcp-bbr': { rate: [ofDirect(0.95)] },
  'tcp-bbr-reverse': { rate: [ofDirect(1)] },
  'tcp-1k': { rate: [ofDirect(1)] },
  'tcp-veth': { rate: [rootlesskit] },
  'tcp-mixed': { p99: [before(1)], connect: [before(1)] },
  connections: { rate: [before(1.05), ofDirect(0.45), eachPeer(1.2), bypassed(0.9)] },
  'connect-latency': { rate: [before(1.2), eachPeer(1.2)] },
  ping: { p50: [eachPeer(1)] },
  udp: { rate: [ofDirect(0.95), eachPeer(1)] },
  'udp-64': { rate: [ofDirect(0.95), eachPeer(1)] },
  'udp-8k': { rate: [ofDirect(0.95), eachPeer(1)] },
  'udp-flows': { rate: [eachPeer(1)], first: [eachPeer(1)] },
  'out-tcp': { rate: [ofDirect(0.7), slirp4netns(4), pasta(1.8)], cpu: [{ value: 0.1 }] },
  'out-tcp-reverse': { rate: [ofDirect(0.8), slirp4netns(4), pasta(1.8)], cpu: [{ value: 0.1 }] },
  'out-connections': { rate: [eachPeer(1.4)] },
  'out-connect-latency': { rate: [eachPeer(1.4)] },
  'out-udp': { rate: [eachPeer(3)] },
  'out-dns': { rate: [eachPeer(1)] },
  memory: { idle: [{ value: 32 }], each: [{ value: 2 }], held: [{ value: 9500 }] },
  ports: {
    oneByOne: [rootlesskit],
    atOnce: [rootlesskit],
    oneRequest: [{ value: 20 }],
    atStart: [rootlesskit],
    remove: [rootlesskit],
    removeRange: [{ value: 20 }],
  },
  start: {
    alone: [{ than: 'node', plus: 15 }],
    builtin: [{ than: 'node', plus: 20 }],
    network: [{ than: 'node', plus: 30 }],
    end: [{ value: 5 }],
    endBuiltin: [{ value: 5 }],
    endNetwork: [{ value: 5 }],
  },
  growth: {
    ...flat('connections', 1000),
    ...flat('connections', 9500),
    ...flat('ports', 1000),
    ...flat('ports', 10_000),
  },
  container: {
    attach: [{ value: 5 }],
    detach: [{ value: 10 }],
    atOnce: [{ value: 300 }],
    processes: [{ value: 3 }],
    run: [{ than: 'runc', plus: 80 }],
  },
  overlay: { rate: [{ than: 'wireguard', ratio: 0.6 }] },
  names: { rate: [{ value: 30_000 }, eachPeer(1)], p99: [{ value: 2000 }] },
};

// Processor time for what a measurement did: a gigabyte, so many datagrams, connections or queries.
import type { Column, Figure } from '../model.js';
import { processorSeconds, processorTime } from './processor.js';

/** What processor time is given for: so much of what the figures' details count. */
const work = {
  bytes: { amount: 1e9, unit: 'CPU s/GB', decimals: 3 },
  datagrams: { amount: 1e6, unit: 'CPU s/M datagrams', decimals: 2 },
  queries: { amount: 1e6, unit: 'CPU s/M queries', decimals: 2 },
  connections: { amount: 1e5, unit: 'CPU s/100k connections', decimals: 1 },
} as const;

export type Work = keyof typeof work;

/** Processor time of the forwarder's processes, and of the whole machine: client, server and kernel included. */
export function processorColumns(of: Work): Readonly<Record<'cpu' | 'machine', Column>> {
  const { unit, decimals } = work[of];
  return {
    cpu: { title: 'relay', unit, decimals, less: true, beside: true },
    machine: { title: 'machine', unit, decimals, less: true, beside: true },
  };
}

/** Takes a measurement, and adds the processor time that it took. Without processes that forward, only the machine's. */
export async function withProcessorTime(
  of: Work | undefined,
  relay: () => number[],
  take: () => Promise<Figure>,
): Promise<Figure> {
  const before = { cpu: processorSeconds(relay()), machine: processorTime().busy };
  const figure = await take();
  const done = of && figure.details?.[of];
  if (of === undefined || typeof done !== 'number' || done === 0) return figure;
  const pids = relay();
  const each = done / work[of].amount;
  const machine = (processorTime().busy - before.machine) / each;
  const cpu = pids.length === 0 ? undefined : (processorSeconds(pids) - before.cpu) / each;
  return { ...figure, values: { ...figure.values, machine, ...(cpu !== undefined && { cpu }) } };
}

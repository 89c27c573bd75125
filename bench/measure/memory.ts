// Memory of forwarders, idle and with idle connections, and how many of those they can hold.
import { unavailable } from '../availability.js';
import { referenceName } from '../candidates/candidate.js';
import type { CandidateResult, Environment, Figure, Plan, Row } from '../model.js';
import { loadProgram } from '../programs/load.js';
import { hardLimit, holdConnections } from '../running/holder.js';
import { startLoadCandidate } from '../running/load-candidate.js';
import { firstPort, newResult, takeRounds } from '../running/start-candidate.js';
import { connectFor } from '../running/try-out.js';
import { proportionalMemory } from './relay.js';

const SOME = 1000;
const MANY = 9500;
/** A connection takes at least two. */
const FILES = 20_000;

export const memory: Row = {
  title: `Memory of the forwarder's processes (PSS), and idle connections under a limit of ${FILES} descriptors`,
  columns: {
    idle: { title: 'idle, after work', unit: 'MiB', decimals: 1, less: true },
    some: { title: `with ${SOME} connections`, unit: 'MiB', decimals: 1, less: true },
    each: { title: 'for each of them', unit: 'KiB', decimals: 2, less: true },
    held: { title: `held of ${MANY} tried`, unit: 'connections', decimals: 0 },
    many: { title: 'memory then', unit: 'MiB', decimals: 1, less: true, beside: true },
  },
  unavailable: ({ root }) => {
    if (process.getuid?.() !== 0) return 'reading the memory of other users needs root';
    if (hardLimit() < FILES) return `a process may have ${hardLimit()} descriptors here (ulimit -Hn), not ${FILES}`;
    return unavailable({ programs: ['prlimit'], file: loadProgram }, root);
  },
  measure: async (plan: Plan, where: Environment): Promise<CandidateResult[]> => {
    const names = plan.candidates.filter((name) => name !== referenceName);
    const results = names.map((name) => newResult(name, where));
    await takeRounds(results, plan.rounds, where, async ({ name }, round) => {
      const figure = await measure(name, firstPort + names.indexOf(name), where);
      const { idle = 0, each = 0, held } = figure.values;
      where.progress(
        `memory, round ${round + 1}/${plan.rounds}: ${name} ${idle.toFixed(1)} MiB, ${each.toFixed(2)} KiB each, ${held} held`,
      );
      return figure;
    });
    return results;
  },
};

async function measure(name: string, port: number, where: Environment): Promise<Figure> {
  await using running = await startLoadCandidate({ name, port, files: FILES }, where);
  // Warms up: what only the first connections cost, such as heap growth, does not count for each.
  await connectFor(running, { seconds: 1, atOnce: 32 }, where);
  const idle = proportionalMemory(running.relay());
  await using first = await holdConnections(running, SOME, where);
  const some = proportionalMemory(running.relay());
  if (first.count < SOME) {
    return { values: { idle, held: first.count }, note: `holds no more than ${first.count} connections` };
  }
  // In addition to the first ones.
  await using rest = await holdConnections(running, MANY - SOME, where);
  const each = ((some - idle) * 1024) / SOME;
  const relay = running.relay();
  // All connections ended with the forwarder.
  if (relay.length === 0)
    return { values: { idle, some, each, held: 0 }, note: 'ended when it had no descriptors left' };
  return { values: { idle, some, each, held: first.count + rest.count, many: proportionalMemory(relay) } };
}

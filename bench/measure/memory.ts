// What forwarders hold in memory: idle, with idle connections, and how many of those they can hold.
import { unavailable } from './availability.js';
import { referenceName } from './candidates.js';
import { hardLimit, holdConnections, limitFiles } from './holder.js';
import type { CandidateResult, Figure, Plan, Row, Surroundings } from './model.js';
import { loadProgram, loadReady, loadServer } from './programs/load.js';
import { proportionalMemory } from './relay.js';
import { firstPort, startCandidate, takeRounds } from './running.js';
import { connectFor, tryLoadServer } from './try-out.js';

const SOME = 1000;
const MANY = 9500;
/** Each connection takes two, at the least. */
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
    if (process.getuid?.() !== 0) return 'only root may look into the memory of all of them';
    if (hardLimit() < FILES) return `a process may have ${hardLimit()} descriptors here (ulimit -Hn), not ${FILES}`;
    return unavailable({ programs: ['prlimit'], file: loadProgram }, root);
  },
  measure: async (plan: Plan, where: Surroundings): Promise<CandidateResult[]> => {
    const names = plan.candidates.filter((name) => name !== referenceName);
    const results = names.map((name): CandidateResult => ({ name, figures: [] }));
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

async function measure(name: string, port: number, where: Surroundings): Promise<Figure> {
  await using running = await startCandidate(
    {
      name,
      port,
      server: (serverPort) => loadServer(where.root, serverPort),
      ready: loadReady,
      prefix: limitFiles(FILES),
      tryOut: (address, to) => tryLoadServer(address, to, where),
    },
    where,
  );
  // What only the first connections cost, such as room for garbage, is not what each of them costs.
  await connectFor(1, 32, running.address, running.port, where);
  const idle = proportionalMemory(running.relay());
  await using first = await holdConnections(running, SOME, where);
  const some = proportionalMemory(running.relay());
  if (first.count < SOME) {
    return { values: { idle, held: first.count }, note: `holds no more than ${first.count} connections` };
  }
  // Together with those that are held already.
  await using rest = await holdConnections(running, MANY - SOME, where);
  const each = ((some - idle) * 1024) / SOME;
  const relay = running.relay();
  // With it all connections are gone.
  if (relay.length === 0)
    return { values: { idle, some, each, held: 0 }, note: 'ended when it had no descriptors left' };
  return { values: { idle, some, each, held: first.count + rest.count, many: proportionalMemory(relay) } };
}

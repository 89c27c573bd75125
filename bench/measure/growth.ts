// How throughput, latency and memory change with the number of open connections, and of published ports.
import { run } from '../test/support/run.js';
import { unavailable } from './availability.js';
import { candidates } from './candidates.js';
import { hardLimit, holdConnections, limitFiles } from './holder.js';
import type { CandidateResult, Column, Figure, Plan, Row, Surroundings } from './model.js';
import { loadClient, loadProgram, loadReady, loadServer, parseConnections, parseStreams } from './programs/load.js';
import { proportionalMemory } from './relay.js';
import { firstMorePort, firstPort, type Running, startCandidate, takeRounds } from './running.js';
import { tryLoadServer } from './try-out.js';
import { runAs } from './users.js';

const kinds = { connections: 'open connections', ports: 'published ports' } as const;
type Kind = keyof typeof kinds;

const steps = [1, 10, 100, 1000];
/** For 10,000 connections by those that take several descriptors for each. */
const FILES = 100_000;

/** Only when there is time. A relay that has two descriptors for each connection needs more than 20,000 for 10,000. */
const longSteps: Readonly<Record<Kind, number>> = { connections: hardLimit() > 20_200 ? 10_000 : 9500, ports: 10_000 };

const quantities: Readonly<Record<string, Column>> = {
  rate: { title: 'one stream', unit: 'Gbit/s', decimals: 1 },
  p50: { title: 'connect to first byte, p50', unit: 'µs', decimals: 0, less: true },
  memory: { title: 'memory (PSS)', unit: 'MiB', decimals: 1, less: true },
};

const columnName = (quantity: string, kind: Kind, at: number) => `${quantity} at ${at} ${kind}`;

function makeColumns(): Record<string, Column> {
  const columns: Record<string, Column> = {};
  for (const kind of Object.keys(kinds) as Kind[]) {
    for (const [name, column] of Object.entries(quantities)) {
      for (const at of [...steps, longSteps[kind]]) {
        columns[columnName(name, kind, at)] = { ...column, series: { title: column.title, of: kinds[kind], at } };
      }
    }
  }
  return columns;
}

export const growth: Row = {
  title: 'Growth',
  columns: makeColumns(),
  unavailable: ({ root }) => unavailable({ programs: ['prlimit'], file: loadProgram }, root),
  measure: async (plan: Plan, where: Surroundings): Promise<CandidateResult[]> => {
    const results = plan.candidates.map((name): CandidateResult => ({ name, figures: [] }));
    await takeRounds(results, plan.rounds, where, async ({ name }, round) => {
      const port = firstPort + plan.candidates.indexOf(name);
      const values: Record<string, number> = {};
      const notes = [await withConnections(name, port, plan, where, values)];
      // The others need a process for each.
      if (candidates[name]?.manyPorts) await withPorts(name, port, plan, where, values);
      where.progress(`growth, round ${round + 1}/${plan.rounds}: ${name} ${Object.keys(values).length} figures`);
      const [note] = notes.filter((each) => each !== undefined);
      return { values, ...(note !== undefined && { note }) } satisfies Figure;
    });
    return results;
  },
};

/** Measures beside so many idle connections. Returns a note if the candidate cannot hold them. */
async function withConnections(
  name: string,
  port: number,
  plan: Plan,
  where: Surroundings,
  values: Record<string, number>,
): Promise<string | undefined> {
  await using running = await startServer(name, port, [], where);
  for (const at of plan.long ? [...steps, longSteps.connections] : steps) {
    await using held = await holdConnections(running, at, where);
    if (held.count < at) return `holds no more than ${held.count} connections`;
    await measure(running, plan, where, values, (quantity) => columnName(quantity, 'connections', at));
  }
  return undefined;
}

/** Measures with so many ports, of which one is used. */
async function withPorts(
  name: string,
  port: number,
  plan: Plan,
  where: Surroundings,
  values: Record<string, number>,
): Promise<void> {
  for (const at of plan.long ? [...steps, longSteps.ports] : steps) {
    const morePorts = Array.from({ length: at - 1 }, (_, index) => firstMorePort + index);
    await using running = await startServer(name, port, morePorts, where);
    await measure(running, plan, where, values, (quantity) => columnName(quantity, 'ports', at));
  }
}

function startServer(name: string, port: number, morePorts: readonly number[], where: Surroundings): Promise<Running> {
  return startCandidate(
    {
      name,
      port,
      morePorts,
      server: (serverPort) => loadServer(where.root, serverPort),
      ready: loadReady,
      prefix: limitFiles(FILES),
      tryOut: (address, to) => tryLoadServer(address, to, where),
    },
    where,
  );
}

async function measure(
  running: Running,
  plan: Plan,
  where: Surroundings,
  values: Record<string, number>,
  column: (quantity: string) => string,
): Promise<void> {
  // Many figures; none of them needs to be as exact as that of a row of its own.
  const seconds = Math.min(1, plan.seconds);
  const client = async (mode: string) => {
    const command = loadClient(where.root, mode, running.address, running.port, 1, seconds);
    const [program = '', ...args] = runAs(where.client, command);
    const { code, stdout, stderr } = await run(program, args, { timeout: 20_000 });
    if (code !== 0) throw new Error(stderr.trim());
    return stdout;
  };
  const relay = running.relay();
  // Others may not look into it.
  if (relay.length > 0 && process.getuid?.() === 0) values[column('memory')] = proportionalMemory(relay);
  values[column('rate')] = parseStreams(await client('streams')).values.rate ?? Number.NaN;
  values[column('p50')] = parseConnections(await client('connections'), 1).values.p50 ?? Number.NaN;
}

// How throughput, latency and memory depend on the number of open connections, and of published ports.
import { run } from '../../test/support/run.js';
import { unavailable } from '../availability.js';
import { runAs } from '../environment/users.js';
import type { CandidateResult, Column, Environment, Figure, Plan, Row } from '../model.js';
import { loadClient, loadProgram, parseConnections, parseStreams } from '../programs/load.js';
import { holdConnections } from '../running/holder.js';
import { startLoadCandidate } from '../running/load-candidate.js';
import { firstMorePort, firstPort, newResult, type Running, takeRounds } from '../running/start-candidate.js';
import { proportionalMemory } from './relay.js';

const kinds = { connections: 'open connections', ports: 'published ports' } as const;
type Kind = keyof typeof kinds;

const steps = [1, 10, 100, 1000];
/** Enough for 10,000 connections even where a forwarder takes several descriptors for each. */
const FILES = 100_000;

/** With --long only. A relay with two descriptors for each connection can hold 9,500 where 20,000 are the limit. */
const longSteps: Readonly<Record<Kind, number>> = { connections: 9500, ports: 10_000 };

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
  measure: async (plan: Plan, where: Environment): Promise<CandidateResult[]> => {
    const results = plan.candidates.map((name) => newResult(name, where));
    await takeRounds(results, plan.rounds, where, async ({ name }, round) => {
      const port = firstPort + plan.candidates.indexOf(name);
      const values: Record<string, number> = {};
      const subject: Subject = { name, port, plan, where, values };
      const notes = [await withConnections(subject)];
      // The others need a process for each port.
      if (where.candidates[name]?.manyPorts) await withPorts(subject);
      where.progress(`growth, round ${round + 1}/${plan.rounds}: ${name} ${Object.keys(values).length} figures`);
      const [note] = notes.filter((each) => each !== undefined);
      return { values, ...(note !== undefined && { note }) } satisfies Figure;
    });
    return results;
  },
};

/** What is measured in a round, and where the figures go. */
interface Subject {
  name: string;
  port: number;
  plan: Plan;
  where: Environment;
  values: Record<string, number>;
}

/** Measures while idle connections are open. Returns a note if the candidate cannot hold them. */
async function withConnections(subject: Subject): Promise<string | undefined> {
  const { plan, where } = subject;
  await using running = await startServer(subject, []);
  for (const at of plan.long ? [...steps, longSteps.connections] : steps) {
    await using held = await holdConnections(running, at, where);
    if (held.count < at) return `holds no more than ${held.count} connections`;
    await measure(subject, running, (quantity) => columnName(quantity, 'connections', at));
  }
  return undefined;
}

/** Measures while ports are published, of which one is used. */
async function withPorts(subject: Subject): Promise<void> {
  const { plan } = subject;
  for (const at of plan.long ? [...steps, longSteps.ports] : steps) {
    const morePorts = Array.from({ length: at - 1 }, (_, index) => firstMorePort + index);
    await using running = await startServer(subject, morePorts);
    await measure(subject, running, (quantity) => columnName(quantity, 'ports', at));
  }
}

function startServer({ name, port, where }: Subject, morePorts: readonly number[]): Promise<Running> {
  return startLoadCandidate({ name, port, morePorts, files: FILES }, where);
}

async function measure(
  { plan, where, values }: Subject,
  running: Running,
  column: (quantity: string) => string,
): Promise<void> {
  // Many figures, which need not be as exact as those of the rows that measure one.
  const seconds = Math.min(1, plan.seconds);
  const client = async (mode: string) => {
    const command = loadClient(where.root, mode, running, [1, seconds]);
    const [program = '', ...args] = runAs(where.client, command);
    const { code, stdout, stderr } = await run(program, args, { timeout: 20_000 });
    if (code !== 0) throw new Error(stderr.trim());
    return stdout;
  };
  const relay = running.relay();
  // Only root may read it.
  if (relay.length > 0 && process.getuid?.() === 0) values[column('memory')] = proportionalMemory(relay);
  values[column('rate')] = parseStreams(await client('streams')).values.rate ?? Number.NaN;
  values[column('p50')] = parseConnections(await client('connections'), 1).values.p50 ?? Number.NaN;
}

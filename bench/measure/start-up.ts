// The time to run `true`, from start to end, as a caller measures it.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../test/support/run.js';
import { unavailable } from '../availability.js';
import { candidates, ownName, type Task } from '../candidates.js';
import { runAs } from '../environment/users.js';
import type { CandidateResult, Environment, Figure, Plan, Row } from '../model.js';
import { median } from '../report/statistics.js';
import { loopback, takeRounds } from '../running.js';

/** Runs in a round; their median is the figure. */
const TIMES = 5;

interface Way {
  /** The name of the candidate, or "node". */
  name: string;
  description?: string;
  /** Command lines by column. */
  commands(where: Environment): Readonly<Record<string, readonly string[]>>;
}

const withNetwork = ['--net=slirp4netns', '--port-driver=builtin', '--copy-up=/etc'];

const ways: readonly Way[] = [
  {
    name: 'node',
    description: 'node -e 0, the lower limit for any program in Node',
    commands: ({ node }) => ({ alone: [node, '-e', '0'], network: [node, '-e', '0'] }),
  },
  {
    name: ownName,
    description: 'this package',
    commands: ({ root }) => {
      const program = [join(root, 'dist/bin/rootless-run')];
      return { alone: [...program, '--net=none', '--', 'true'], network: [...program, ...withNetwork, '--', 'true'] };
    },
  },
  {
    name: 'rootlesskit',
    description: 'RootlessKit',
    commands: () => ({
      alone: ['rootlesskit', '--net=none', 'true'],
      network: ['rootlesskit', ...withNetwork, '--disable-host-loopback', 'true'],
    }),
  },
  {
    name: 'pasta',
    commands: () => ({ network: ['pasta', '--config-net', '--', 'true'] }),
  },
];

export const startUp: Row = {
  title: 'Start-up: the time that `true` takes',
  columns: {
    alone: { title: 'without a network', unit: 'ms', decimals: 1, less: true },
    network: { title: 'slirp4netns, builtin port driver, copy-up of /etc', unit: 'ms', decimals: 1, less: true },
  },
  unavailable: () => undefined,
  measure: async (plan: Plan, where: Environment): Promise<CandidateResult[]> => {
    const chosen = ways.filter(({ name }) => name === 'node' || plan.candidates.includes(name));
    const results = chosen.map(
      ({ name, description }): CandidateResult => ({ name, figures: [], ...(description && { description }) }),
    );
    await takeRounds(results, plan.rounds, where, async ({ name }, round) => {
      const way = chosen.find((each) => each.name === name) as Way;
      const figure = await measure(way, where);
      const shown = Object.entries(figure.values).map(([column, ms]) => `${column} ${ms.toFixed(1)} ms`);
      where.progress(`start, round ${round + 1}/${plan.rounds}: ${name} ${shown.join(', ')}`);
      return figure;
    });
    return results;
  },
};

async function measure({ name, commands }: Way, where: Environment): Promise<Figure> {
  const candidate = candidates[name];
  const reason = candidate && unavailable(candidate, where.root);
  if (reason !== undefined) throw new Error(reason);
  const account = where.account(name);
  const values: Record<string, number> = {};
  const notes: string[] = [];
  for (const [column, command] of Object.entries(commands(where))) {
    const times: number[] = [];
    try {
      for (let time = 0; time < TIMES; time++) times.push(await timed(runAs(account, command)));
      values[column] = median(times);
    } catch {
      // Older versions of RootlessKit do not have --net=none.
      notes.push(`does not support ${command.slice(0, -1).join(' ')}`);
    }
  }
  if (Object.keys(values).length === 0) throw new Error(notes.join('; '));
  return { values, ...(notes.length > 0 && { note: notes.join('; ') }) };
}

/** Runs a candidate with a command that ends by itself; resolves with the time in ms. */
export async function timeToEnd(
  {
    name,
    port,
    morePorts,
    command,
    prefix,
  }: Pick<Task, 'port' | 'morePorts'> & {
    name: string;
    command: string[];
    prefix: readonly string[];
  },
  where: Environment,
): Promise<number> {
  const candidate = candidates[name];
  const reason = candidate ? unavailable(candidate, where.root) : 'unknown';
  if (candidate === undefined || reason !== undefined) throw new Error(reason);
  const account = where.account(name);
  rmSync(join(account.directory, 'state'), { recursive: true, force: true });
  const line = candidate.command({
    ...{ port, morePorts, server: () => command, protocol: 'tcp', address: loopback, congestion: undefined },
    ...{ directory: account.directory, root: where.root, node: where.node },
  });
  return timed([...prefix, ...runAs(account, line)]);
}

async function timed([program = '', ...args]: readonly string[]): Promise<number> {
  const since = performance.now();
  const { code, stdout, stderr } = await run(program, args, { timeout: 60_000 });
  if (code !== 0) throw new Error((stderr || stdout).trim() || `exit code ${code}`);
  return performance.now() - since;
}

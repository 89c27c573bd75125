// The time to run `true`, from start to end, as a caller measures it; and how much of it is after the end of the command.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../test/support/run.js';
import { unavailable } from '../availability.js';
import type { Task } from '../candidates/candidate.js';
import { runAs } from '../environment/users.js';
import type { CandidateResult, Environment, Figure, Plan, Row } from '../model.js';
import { loadProgram } from '../programs/load.js';
import { median } from '../report/statistics.js';
import { availableCandidate, loopback, newResult, rootOf, takeRounds } from '../running/start-candidate.js';

/** Runs in a round; their median is the figure. */
const TIMES = 5;

/** The lower limit for any program in Node. */
const nodeName = 'node';

export const startUp: Row = {
  title: 'Start and end: the time that `true` takes, and the part of it after the end of the command',
  columns: {
    alone: { title: 'without a network', unit: 'ms', decimals: 1, less: true },
    builtin: { title: 'network driver builtin', unit: 'ms', decimals: 1, less: true },
    network: { title: 'slirp4netns, builtin port driver, copy-up of /etc', unit: 'ms', decimals: 1, less: true },
    end: { title: 'end without a network', unit: 'ms', decimals: 1, less: true },
    endBuiltin: { title: 'end with the network driver builtin', unit: 'ms', decimals: 1, less: true },
    endNetwork: { title: 'end with slirp4netns', unit: 'ms', decimals: 1, less: true },
  },
  unavailable: ({ root }) => unavailable({ programs: [], file: loadProgram }, root),
  measure: async (plan: Plan, where: Environment): Promise<CandidateResult[]> => {
    const results = [
      { name: nodeName, description: 'node -e 0, the lower limit for any program in Node', figures: [] },
      ...plan.candidates.filter((name) => where.candidates[name]?.start).map((name) => newResult(name, where)),
    ];
    await takeRounds(results, plan.rounds, where, async ({ name }, round) => {
      const figure = await (name === nodeName ? measureNode(where) : measure(name, where));
      const shown = Object.entries(figure.values).map(([column, ms]) => `${column} ${ms.toFixed(1)} ms`);
      where.progress(`start, round ${round + 1}/${plan.rounds}: ${name} ${shown.join(', ')}`);
      return figure;
    });
    return results;
  },
};

async function measureNode(where: Environment): Promise<Figure> {
  const command = runAs(where.account(nodeName), [where.node, '-e', '0']);
  const took = median(await times(() => timed(command)));
  return { values: { alone: took, builtin: took, network: took } };
}

async function measure(name: string, where: Environment): Promise<Figure> {
  const candidate = availableCandidate(name, where);
  const account = where.account(name);
  const values: Record<string, number> = {};
  const notes: string[] = [];
  const { alone, builtin, network } = candidate.start?.(rootOf(candidate, where)) ?? { network: [] };
  for (const [column, endColumn, command] of [
    ['alone', 'end', alone],
    ['builtin', 'endBuiltin', builtin],
    ['network', 'endNetwork', network],
  ] as const) {
    if (command === undefined) continue;
    try {
      values[column] = median(await times(() => timed(runAs(account, [...command, 'true']))));
      const clock = [join(where.root, loadProgram), 'now'];
      values[endColumn] = median(await times(() => timedEnd(runAs(account, [...command, ...clock]))));
    } catch {
      // Older versions of RootlessKit do not have --net=none, and of this package --net=builtin.
      notes.push(`does not support ${command.join(' ')}`);
    }
  }
  if (Object.keys(values).length === 0) throw new Error(notes.join('; '));
  return { values, ...(notes.length > 0 && { note: notes.join('; ') }) };
}

/** The results of as many runs as a figure takes. */
async function times(once: () => Promise<number>): Promise<number[]> {
  const all: number[] = [];
  for (let time = 0; time < TIMES; time++) all.push(await once());
  return all;
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
  const candidate = availableCandidate(name, where);
  const account = where.account(name);
  rmSync(join(account.directory, 'state'), { recursive: true, force: true });
  const line = candidate.command({
    ...{ port, morePorts, server: () => command, protocol: 'tcp', address: loopback, congestion: undefined },
    ...{ directory: account.directory, root: rootOf(candidate, where) },
  });
  return timed([...prefix, ...runAs(account, line)]);
}

async function timed([program = '', ...args]: readonly string[]): Promise<number> {
  const since = performance.now();
  const { code, stdout, stderr } = await run(program, args, { timeout: 60_000 });
  if (code !== 0) throw new Error((stderr || stdout).trim() || `exit code ${code}`);
  return performance.now() - since;
}

/** Runs a command that prints the monotonic clock and ends; resolves with the time from then to the end of the whole, in ms. */
async function timedEnd([program = '', ...args]: readonly string[]): Promise<number> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'], timeout: 60_000 });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const ended = once(child, 'exit').then(() => process.hrtime.bigint());
  const [at] = await Promise.all([ended, once(child, 'close')]);
  const printed = /^\d+$/m.exec(output)?.[0];
  if (printed === undefined) throw new Error(`${program} did not run the command`);
  return Number(at - BigInt(printed)) / 1e6;
}

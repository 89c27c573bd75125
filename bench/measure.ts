// Measures one row: starts all candidates, takes rounds in turn, stops them.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { hasProgram } from '../test/setup/requirements.js';
import { run } from '../test/support/run.js';
import { type Started, start } from '../test/support/start.js';
import { waitFor } from '../test/support/wait-for.js';
import { type Candidate, candidates } from './candidates.js';
import type { BenchOptions } from './options.js';
import type { Figure, Row } from './rows.js';
import { roundOrder } from './statistics.js';
import { stop } from './stop.js';
import { type Account, runAs } from './users.js';

/** What one candidate did in a row. */
export interface CandidateResult {
  name: string;
  /** One figure a round; undefined where the round failed. */
  figures: (Figure | undefined)[];
  /** Why there are no figures, or fewer than rounds. */
  problem?: string;
  /** Congestion control in the candidate's own namespace, if it has one. */
  childCongestion?: string;
}

export interface Surroundings {
  root: string;
  node: string;
  account(name: string): Account;
  client: Account;
  progress(line: string): void;
}

/** Ports of the candidates, and 10,000 above them of the servers behind socat: below the ephemeral ones. */
const firstPort = 15_201;

/** Why a candidate or row cannot be measured here, or undefined. */
export function unavailable(
  { programs, file }: Pick<Candidate, 'programs' | 'file'>,
  root: string,
): string | undefined {
  const missing = programs.filter((program) => !hasProgram(program));
  if (missing.length > 0) return `not installed: ${missing.join(', ')}`;
  if (file !== undefined && !existsSync(join(root, file))) return `not built: ${file} is missing`;
  return undefined;
}

interface Running {
  result: CandidateResult;
  port: number;
  started: Started;
}

/** Measures the row with each candidate that can be; those that cannot are in the result with the reason. */
export async function measureRow(row: Row, options: BenchOptions, where: Surroundings): Promise<CandidateResult[]> {
  const results: CandidateResult[] = [];
  const running: Running[] = [];
  try {
    for (const [index, name] of options.candidates.entries()) {
      const result: CandidateResult = { name, figures: [] };
      results.push(result);
      const candidate = candidates[name];
      if (candidate === undefined) continue;
      const reason = unavailable(candidate, where.root);
      if (reason !== undefined) {
        result.problem = reason;
        continue;
      }
      try {
        running.push({
          result,
          port: firstPort + index,
          ...(await startCandidate(row, candidate, name, firstPort + index, where)),
        });
      } catch (error) {
        result.problem = describe(error);
        where.progress(`${name}: ${result.problem}`);
      }
    }
    for (const { result, started } of running) {
      const said = /congestion control: (\w+)/.exec(started.output())?.[1];
      if (said !== undefined) result.childCongestion = said;
    }
    for (let round = 0; round < options.rounds; round++) {
      for (const { result, port } of roundOrder(running, round)) {
        try {
          const figure = await measureOnce(row, port, options.seconds, where);
          result.figures[round] = figure;
          const value = figure.value.toFixed(row.decimals);
          where.progress(`${row.title}, round ${round + 1}/${options.rounds}: ${result.name} ${value} ${row.unit}`);
        } catch (error) {
          result.figures[round] = undefined;
          result.problem = `round ${round + 1}: ${describe(error)}`;
          where.progress(`${result.name}: ${result.problem}`);
        }
      }
    }
  } finally {
    for (const { started } of running) await stop(started);
  }
  return results;
}

async function startCandidate(
  row: Row,
  candidate: Candidate,
  name: string,
  port: number,
  where: Surroundings,
): Promise<{ started: Started }> {
  const account = where.account(name);
  const command = candidate.command({
    server: (serverPort) => row.server(serverPort, where.root),
    port,
    directory: account.directory,
    root: where.root,
    node: where.node,
  });
  const [program = '', ...args] = runAs(account, command);
  const started = await start(program, args, { ready: { output: row.ready } });
  try {
    // The server listens; whether the way to it is open shows when it is used. This warms up, too.
    await waitFor(() => measureOnce(row, port, 1, where), { what: `a first measurement with ${name}` });
  } catch (error) {
    await stop(started);
    throw error;
  }
  return { started };
}

async function measureOnce(row: Row, port: number, seconds: number, where: Surroundings): Promise<Figure> {
  const [program = '', ...args] = runAs(where.client, row.client(port, seconds, where.root));
  const { code, stdout, stderr } = await run(program, args, { timeout: (seconds + 15) * 1000 });
  // iperf3 tells its errors in its JSON.
  if (code !== 0 && stdout === '') throw new Error(stderr.trim() || `exit code ${code}`);
  return row.parse(stdout);
}

/** The last line of the deepest cause: candidates say what went wrong at the end of their output. */
function describe(error: unknown): string {
  const { message, cause } = error as Error;
  const lines = message.trim().split('\n');
  const last = lines.length > 1 ? `${lines[0]} ${lines.slice(-3).join(' | ')}` : message;
  return cause instanceof Error && lines.length <= 1 ? `${last} (${describe(cause)})` : last;
}

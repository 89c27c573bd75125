// Starts a candidate with a server, waits until clients reach the server, and lists the candidate's processes.
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { processTree } from '../../test/support/process-info.js';
import { type Started, start } from '../../test/support/start.js';
import { waitFor } from '../../test/support/wait-for.js';
import { unavailable } from '../availability.js';
import type { Candidate, Task } from '../candidates/candidate.js';
import { type Account, runAs } from '../environment/users.js';
import { relayProcesses } from '../measure/relay.js';
import type { CandidateResult, Environment, Figure } from '../model.js';
import { roundOrder } from '../report/statistics.js';
import { stop } from './stop.js';

/** Ports of the candidates; the servers of some are 10,000 above, below the ephemeral ports. */
export const firstPort = 15_201;

/** First of the further ports, and of those that are published by an API. */
export const firstMorePort = 16_000;

export interface StartRequest
  extends Pick<Task, 'server' | 'port'>,
    Partial<Pick<Task, 'protocol' | 'address' | 'morePorts' | 'congestion'>> {
  name: string;
  /** Matches the server's output once it listens; without it only `tryOut` decides. */
  ready?: RegExp;
  /** Files of the server, by their paths below the candidate's directory. */
  files?: (directory: string) => Readonly<Record<string, string>>;
  /** Prefix of the candidate's command, such as prlimit or taskset. */
  prefix?: readonly string[];
  /** Rejects until clients reach the server; also warms up. */
  tryOut(address: string, port: number, started: Started): Promise<unknown>;
}

/** A running candidate. */
export interface Running extends AsyncDisposable {
  name: string;
  started: Started;
  address: string;
  port: number;
  directory: string;
  /** Ids of the processes that forward. */
  relay(): number[];
}

export const loopback = '127.0.0.1';

/** @throws {Error} if it cannot be measured here; the message says why */
export function availableCandidate(name: string, where: Environment): Candidate {
  const candidate = where.candidates[name];
  if (candidate === undefined) throw new Error(`unknown candidate ${name}`);
  const reason = unavailable(candidate, rootOf(candidate, where));
  if (reason !== undefined) throw new Error(reason);
  return candidate;
}

/** The checkout that a candidate of this package runs. */
export function rootOf({ root }: Pick<Candidate, 'root'>, where: Environment): string {
  return root ?? where.root;
}

/** A candidate without figures yet. */
export function newResult(name: string, { candidates }: Environment): CandidateResult {
  const { description, peer } = candidates[name] ?? {};
  return { name, figures: [], ...(description !== undefined && { description }), ...(peer && { peer }) };
}

export async function startCandidate(request: StartRequest, where: Environment): Promise<Running> {
  const { name, port, ready, prefix = [], address = loopback } = request;
  const candidate = availableCandidate(name, where);
  const account = where.account(name);
  // Left by an earlier run, such as the state of rootlesskit.
  rmSync(join(account.directory, 'state'), { recursive: true, force: true });
  if (request.files) writeFiles(request.files(account.directory), account);
  let serverCommand: string[] = [];
  const command = candidate.command({
    server: (serverPort) => {
      serverCommand = request.server(serverPort);
      return serverCommand;
    },
    protocol: request.protocol ?? 'tcp',
    address,
    port,
    morePorts: request.morePorts ?? [],
    // reno, as in makeNetwork, or unchanged.
    congestion: 'congestion' in request ? request.congestion : 'reno',
    directory: account.directory,
    root: rootOf(candidate, where),
  });
  const [program = '', ...args] = [...prefix, ...runAs(account, command)];
  const started = await start(program, args, { ready: ready ? { output: ready } : { check: () => true } });
  try {
    await waitFor(
      async () => {
        await request.tryOut(address, port, started);
        return true;
      },
      { what: `a first measurement with ${name}` },
    );
  } catch (error) {
    await stop(started);
    throw error;
  }
  const processes = processTree(started.pid);
  return {
    name,
    started,
    address,
    port,
    directory: account.directory,
    relay: () => relayProcesses(started.pid, serverCommand),
    [Symbol.asyncDispose]: () => stop(started, processes),
  };
}

/** Writes files that belong to the account. */
export function writeFiles(files: Readonly<Record<string, string>>, { user, directory }: Account): void {
  for (const [name, text] of Object.entries(files)) {
    const file = join(directory, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  if (user !== undefined) spawnSync('chown', ['-R', `${user}:`, directory]);
}

/** Measures each candidate in each round, in an order that is reversed every other round. */
export async function takeRounds(
  results: readonly CandidateResult[],
  rounds: number,
  where: Environment,
  take: (result: CandidateResult, round: number) => Promise<Figure>,
): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (const result of roundOrder(results, round)) {
      // It failed in all rounds before.
      if (result.problem !== undefined && round > 0 && result.figures.every((figure) => figure === undefined)) continue;
      try {
        result.figures[round] = await take(result, round);
      } catch (error) {
        result.figures[round] = undefined;
        result.problem = describe(error);
        if (rounds > 1) result.problem = `round ${round + 1}: ${result.problem}`;
        where.progress(`${result.name}: ${result.problem}`);
      }
    }
  }
}

/** Short text for an error: of long messages the end, where candidates report what failed, and the deepest cause. */
export function describe(error: unknown): string {
  const { message, cause } = error as Error;
  const [first = '', ...rest] = message.trim().split('\n');
  const last = rest.filter((line) => line.trim() !== '').slice(-3);
  // The first line has the command line.
  const text = [shorten(first, 80), ...last].join(last.length > 1 ? ' | ' : ' ');
  return cause instanceof Error && last.length === 0 ? `${text} (${describe(cause)})` : shorten(text, 300);
}

function shorten(text: string, length: number): string {
  return text.length <= length ? text : `…${text.slice(-length)}`;
}

// Rows in which a client measures traffic to a server: starts all candidates, measures them by turns, stops them.
import { availableParallelism } from 'node:os';
import { run } from '../../test/support/run.js';
import { type Needs, unavailable } from '../availability.js';
import { ownName } from '../candidates/candidate.js';
import { type RemoteClient, withCongestion } from '../environment/network.js';
import { runAs } from '../environment/users.js';
import type { CandidateResult, Column, Environment, Figure, Plan, Row, Target } from '../model.js';
import {
  describe,
  firstPort,
  loopback,
  newResult,
  type Running,
  type StartRequest,
  startCandidate,
  takeRounds,
  writeFiles,
} from '../running/start-candidate.js';
import { type Work, withProcessorTime } from './work.js';

/** A server, its client, and the parser of the client's output. */
export interface Program extends Needs {
  protocol?: 'tcp' | 'udp';
  server(port: number, place: Place): string[];
  /** Matches the server's output once it listens. */
  ready?: RegExp;
  /** Of the server and of the client, by their paths below its directory. */
  files?: (directory: string) => Readonly<Record<string, string>>;
  client(address: string, port: number, seconds: number, place: Place): string[];
  parse(output: string): Figure;
}

export interface Place {
  root: string;
  /** Of the user who runs the program. */
  directory: string;
}

export interface Traffic {
  title: string;
  columns: Readonly<Record<string, Column>>;
  program: Program;
  /** If there are columns of processor time. */
  work?: Work;
  /** Client, forwarder and server share one processor; otherwise latency depends on where they happen to run. */
  pinned?: true;
  /** The kernel's default congestion control is left on. */
  defaultCongestion?: 'bbr';
  /** The client is in another network namespace, behind a veth. */
  remote?: true;
}

export function traffic(row: Traffic): Row {
  return {
    title: row.title,
    columns: row.columns,
    unavailable: (where) => unavailable(row.program, where.root) ?? lackOfNetwork(row, where),
    measure: (plan, where) => {
      const act = () => measure(row, plan, where);
      return row.defaultCongestion ? withCongestion(where.network, row.defaultCongestion, act) : act();
    },
  };
}

function lackOfNetwork(row: Traffic, { network }: Environment): string | undefined {
  if (row.defaultCongestion !== undefined && network.defaultCongestion !== row.defaultCongestion) {
    return `the default congestion control of this machine is ${network.defaultCongestion}, not ${row.defaultCongestion}`;
  }
  if (row.remote && !network.remote) return 'creating the network of the client needs root';
  return undefined;
}

async function measure(row: Traffic, plan: Plan, where: Environment): Promise<CandidateResult[]> {
  const results: CandidateResult[] = [];
  const running = new Map<string, Running>();
  try {
    for (const [index, name] of plan.candidates.entries()) {
      const result = newResult(name, where);
      results.push(result);
      try {
        running.set(name, await startCandidate(requestFor({ row, plan, where }, name, firstPort + index), where));
      } catch (error) {
        result.problem = describe(error);
        where.progress(`${name}: ${result.problem}`);
      }
    }
    const ready = results.filter(({ name }) => running.has(name));
    for (const result of ready) {
      const reported = /congestion control: (\w+)/.exec(running.get(result.name)?.started.output() ?? '')?.[1];
      if (reported !== undefined && row.program.protocol !== 'udp') result.childCongestion = reported;
    }
    await takeRounds(ready, plan.rounds, where, async (result, round) => {
      const figure = await measureRunning(row, running.get(result.name) as Running, plan.seconds, where);
      where.progress(`${row.title}, round ${round + 1}/${plan.rounds}: ${result.name} ${summary(row, figure)}`);
      return figure;
    });
  } finally {
    for (const each of running.values()) await each[Symbol.asyncDispose]();
  }
  return results;
}

/** A row that is being measured. */
interface Measurement {
  row: Traffic;
  plan: Plan;
  where: Environment;
}

function requestFor({ row, plan, where }: Measurement, name: string, port: number): StartRequest {
  const { program } = row;
  const { directory } = where.account(name);
  return {
    name,
    port,
    server: (serverPort) => program.server(serverPort, { root: where.root, directory }),
    address: remoteOf(row, where)?.hostAddress ?? loopback,
    protocol: program.protocol ?? 'tcp',
    congestion: row.defaultCongestion === undefined ? 'reno' : undefined,
    ...(program.ready && { ready: program.ready }),
    ...(program.files && { files: program.files }),
    prefix: pin(row.pinned),
    tryOut: (address, to) => measureOnce(row, { address, port: to }, Math.min(1, plan.seconds), where),
  };
}

function remoteOf(row: Traffic, { network }: Environment): RemoteClient | undefined {
  return row.remote ? network.remote : undefined;
}

/** Command prefix that keeps a program on one processor. */
export function pin(pinned = false): string[] {
  return pinned ? ['taskset', '--cpu-list', String(availableParallelism() - 1)] : [];
}

/** Adds what is seen from outside: the relay's processor time, the address that the server saw. */
async function measureRunning(row: Traffic, running: Running, seconds: number, where: Environment): Promise<Figure> {
  const take = () => measureOnce(row, running, seconds, where);
  const figure = await withProcessorTime(row.work, () => running.relay(), take);
  const remote = remoteOf(row, where);
  return { ...figure, ...(remote && addressSeen(running, remote.address)) };
}

/** The last client's address in iperf3's output; other servers do not print it. */
function addressSeen({ name, started }: Running, address: string): Pick<Figure, 'note' | 'caveat'> {
  const seen = [...started.output().matchAll(/^Accepted connection from ([^\s,]+),/gm)].at(-1)?.[1];
  if (seen === undefined) return {};
  const kept = seen === address || seen === `::ffff:${address}`;
  const text = kept ? "the server sees the client's address" : `the server sees ${seen} in place of ${address}`;
  return name === ownName && !kept ? { caveat: text } : { note: text };
}

function measureOnce(row: Traffic, target: Target, seconds: number, where: Environment): Promise<Figure> {
  const prefix = [...(remoteOf(row, where)?.prefix ?? []), ...pin(row.pinned)];
  return runClient(row.program, target, { prefix, seconds }, where);
}

/** Runs a program's client; `prefix` is that of its command. */
export async function runClient(
  program: Program,
  { address, port }: Target,
  { prefix, seconds }: { prefix: readonly string[]; seconds: number },
  where: Environment,
): Promise<Figure> {
  const place = { root: where.root, directory: where.client.directory };
  if (program.files) writeFiles(program.files(place.directory), where.client);
  const own = runAs(where.client, program.client(address, port, seconds, place));
  const [command = '', ...args] = [...prefix, ...own];
  const { code, stdout, stderr } = await run(command, args, { timeout: (seconds * 4 + 15) * 1000 });
  // Some report errors in their output, with an exit code of their own.
  if (code !== 0 && stdout === '') throw new Error(stderr.trim() || `exit code ${code}`);
  return program.parse(stdout);
}

/** The first column, for the progress line. */
export function summary({ columns }: Pick<Row, 'columns'>, { values }: Figure): string {
  const [[name, { decimals, unit }] = ['', { decimals: 0, unit: '' }]] = Object.entries(columns);
  return `${values[name]?.toFixed(decimals)} ${unit}`;
}

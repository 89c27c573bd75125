// The command line of the benchmark.
import { parseArgs } from 'node:util';
import { type Candidates, referenceName } from './candidates/candidate.js';
import { makeCandidates, parsePeer } from './candidates/candidates.js';
import type { Plan } from './model.js';
import { rows } from './rows.js';

const rowNames: readonly string[] = Object.keys(rows);

export interface BenchOptions extends Plan {
  /** The command line. */
  words: readonly string[];
  /** What can be measured, by name; `candidates` has the names of what is. */
  known: Candidates;
  /** Names of the rows to measure, in the order of the table. */
  rows: readonly string[];
  /** Whether rows were given by name; one that cannot be measured is then a failure. */
  named: boolean;
  /** Whether to write the tables into bench/README.md. */
  write: boolean;
  /** File for the figures in JSON. */
  json?: string;
  /** Directory for charts. */
  plot?: string;
}

/** An invalid command line; the message has the usage. */
export class UsageError extends Error {
  override name = 'UsageError';

  constructor(message: string, known: Candidates = makeCandidates()) {
    super(`${message}\n${usage(known)}`);
  }
}

function usage(known: Candidates): string {
  const peers = Object.keys(known).filter((name) => name !== referenceName);
  return `Usage: npm run bench [-- ROW… --peers NAME,… --peer NAME=PATH… --rounds N --seconds S --long --json FILE --plot DIR --write]
  rows: ${rowNames.join(', ')} (default: all)
  peers: ${peers.join(', ')} (default: all that are installed)
  --peer NAME=PATH, repeatable: a program elsewhere, such as rootlesskit=/opt/rk3/rootlesskit; or another checkout of this
    package, such as before=../before, which the goals compare with
  --rounds 1 --seconds 1 for a first look; --long measures up to 10,000 ports in the row "growth"
  --write replaces the tables of these rows in bench/README.md`;
}

/** @throws {UsageError} */
export function parseOptions(args: string[]): BenchOptions {
  const { positionals, values } = parse(args);
  const known = knownCandidates(values.peer);
  const names = Object.keys(known);
  const peers = values.peers === undefined ? names : values.peers.split(',').filter(Boolean);
  check(positionals, rowNames, 'row', known);
  check(peers, names, 'peer', known);
  return {
    words: args,
    known,
    rows: rowNames.filter((name) => positionals.length === 0 || positionals.includes(name)),
    named: positionals.length > 0,
    candidates: names.filter((name) => name === referenceName || peers.includes(name)),
    rounds: positive('rounds', values.rounds, Number.isInteger),
    seconds: positive('seconds', values.seconds, Number.isFinite),
    long: values.long,
    write: values.write,
    ...(values.json !== undefined && { json: values.json }),
    ...(values.plot !== undefined && { plot: values.plot }),
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        peers: { type: 'string' },
        peer: { type: 'string', multiple: true, default: [] },
        rounds: { type: 'string', default: '5' },
        seconds: { type: 'string', default: '3' },
        long: { type: 'boolean', default: false },
        write: { type: 'boolean', default: false },
        json: { type: 'string' },
        plot: { type: 'string' },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function knownCandidates(given: readonly string[]): Candidates {
  try {
    return makeCandidates(given.map(parsePeer));
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function check(names: readonly string[], known: readonly string[], what: string, candidates: Candidates): void {
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new UsageError(`Unknown ${what}: ${unknown}`, candidates);
}

function positive(option: string, text: string, valid: (value: number) => boolean): number {
  const value = Number(text);
  if (!valid(value) || value <= 0) throw new UsageError(`--${option} must be a number above 0, not ${text}`);
  return value;
}

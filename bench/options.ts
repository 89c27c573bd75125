// The command line of the benchmark.
import { parseArgs } from 'node:util';
import { candidates, referenceName } from './candidates.js';
import type { Plan } from './model.js';
import { rows } from './rows.js';

const rowNames: readonly string[] = Object.keys(rows);

export interface BenchOptions extends Plan {
  /** Names of the rows to measure, in the order of the table. */
  rows: readonly string[];
  /** Whether rows were given by name; one that cannot be measured is then a failure. */
  named: boolean;
  /** File for the figures in JSON. */
  json?: string;
  /** Directory for charts. */
  plot?: string;
}

/** An invalid command line; the message has the usage. */
export class UsageError extends Error {
  override name = 'UsageError';
}

const usage = `Usage: npm run bench [-- ROW… --peers NAME,… --rounds N --seconds S --long --json FILE --plot DIR]
  rows: ${rowNames.join(', ')} (default: all)
  peers: ${Object.keys(candidates)
    .filter((name) => name !== referenceName)
    .join(', ')} (default: all that are installed)
  --rounds 1 --seconds 1 for a first look; --long measures up to 10,000 connections in the row "growth"`;

/** @throws {UsageError} */
export function parseOptions(args: string[]): BenchOptions {
  const { positionals, values } = parse(args);
  const peers = values.peers === undefined ? Object.keys(candidates) : values.peers.split(',').filter(Boolean);
  check(positionals, rowNames, 'row');
  check(peers, Object.keys(candidates), 'peer');
  return {
    rows: rowNames.filter((name) => positionals.length === 0 || positionals.includes(name)),
    named: positionals.length > 0,
    candidates: Object.keys(candidates).filter((name) => name === referenceName || peers.includes(name)),
    rounds: positive('rounds', values.rounds, Number.isInteger),
    seconds: positive('seconds', values.seconds, Number.isFinite),
    long: values.long,
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
        rounds: { type: 'string', default: '5' },
        seconds: { type: 'string', default: '3' },
        long: { type: 'boolean', default: false },
        json: { type: 'string' },
        plot: { type: 'string' },
      },
    });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n${usage}`);
  }
}

function check(names: readonly string[], known: readonly string[], what: string): void {
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new UsageError(`Unknown ${what}: ${unknown}\n${usage}`);
}

function positive(option: string, text: string, valid: (value: number) => boolean): number {
  const value = Number(text);
  if (!valid(value) || value <= 0) throw new UsageError(`--${option} must be a number above 0, not ${text}\n${usage}`);
  return value;
}

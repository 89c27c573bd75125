import { parseArgs } from 'node:util';
import { candidates, referenceName } from './candidates.js';
import { rows } from './rows.js';

/** All that can be asked for, in the order of the output. */
export const rowNames: readonly string[] = [...Object.keys(rows), 'container'];

export interface BenchOptions {
  /** Names of the rows to measure, in the order of the table. */
  rows: string[];
  /** Names of the candidates, "direct" among them always: the ratios refer to it. */
  candidates: string[];
  rounds: number;
  /** Length of one measurement. */
  seconds: number;
  /** File for the figures in JSON. */
  json?: string;
}

/** The command line cannot be understood; the message says why. */
export class UsageError extends Error {
  override name = 'UsageError';
}

const usage = `Usage: npm run bench [-- ROW… --peers NAME,… --rounds N --seconds S --json FILE]
  rows: ${rowNames.join(', ')} (all unless told)
  peers: ${Object.keys(candidates)
    .filter((name) => name !== referenceName)
    .join(', ')} (all that are installed unless told)`;

/** @throws {UsageError} */
export function parseOptions(args: string[]): BenchOptions {
  const { positionals, values } = parse(args);
  const askedRows = positionals.length > 0 ? positionals : [...rowNames];
  const peers = values.peers === undefined ? Object.keys(candidates) : values.peers.split(',').filter(Boolean);
  check(askedRows, rowNames, 'row');
  check(peers, Object.keys(candidates), 'peer');
  return {
    rows: askedRows,
    candidates: Object.keys(candidates).filter((name) => name === referenceName || peers.includes(name)),
    rounds: positive('rounds', values.rounds, Number.isInteger),
    seconds: positive('seconds', values.seconds, Number.isFinite),
    ...(values.json !== undefined && { json: values.json }),
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
        json: { type: 'string' },
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

// Holds idle connections open while something is measured.
import { readFileSync } from 'node:fs';
import { type Started, start } from '../../test/support/start.js';
import { runAs } from '../environment/users.js';
import type { Environment } from '../model.js';
import { loadClient, parseHeld } from '../programs/load.js';
import type { Running } from './start-candidate.js';

export interface Held extends AsyncDisposable {
  /** Number of connections that are open. */
  count: number;
}

/** Opens connections to a candidate; resolves when all are open, or no further one can be opened. */
export async function holdConnections(running: Running, count: number, where: Environment): Promise<Held> {
  const command = loadClient(where.root, 'hold', running, [count]);
  const [program = '', ...args] = [...limitFiles(count + 100), ...runAs(where.client, command)];
  const started: Started = await start(program, args, { ready: { output: /}\n$/ }, timeout: 60_000 });
  return {
    count: parseHeld(started.output()),
    // It has nothing to clean up.
    [Symbol.asyncDispose]: async () => {
      await started.stop('SIGKILL');
    },
  };
}

/** Command prefix that sets the limit of descriptors to `count`, or to the hard limit if that is lower. */
export function limitFiles(count: number): string[] {
  const limit = Math.min(count, hardLimit());
  return ['prlimit', `--nofile=${limit}:${limit}`];
}

/** Hard limit of descriptors; even root may be unable to raise it. */
export function hardLimit(): number {
  const found = /^Max open files +\d+ +(\d+|unlimited) /m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return found === undefined || found === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(found);
}

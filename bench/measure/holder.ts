// Connections that are open and idle, for as long as they are held.
import { readFileSync } from 'node:fs';
import { type Started, start } from '../test/support/start.js';
import type { Surroundings } from './model.js';
import { loadClient, parseHeld } from './programs/load.js';
import type { Running } from './running.js';
import { runAs } from './users.js';

export interface Held extends AsyncDisposable {
  /** How many came about and stayed. */
  count: number;
}

/** Opens connections to a candidate; resolves when all are open, or no more will be. */
export async function holdConnections(running: Running, count: number, where: Surroundings): Promise<Held> {
  const { address, port } = running;
  const command = loadClient(where.root, 'hold', address, port, count);
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

/** Goes before a command that is to have so many descriptors, or as many as may be had. */
export function limitFiles(count: number): string[] {
  const limit = Math.min(count, hardLimit());
  return ['prlimit', `--nofile=${limit}:${limit}`];
}

/** Descriptors that a process may have here at most; even root may be unable to raise it. */
export function hardLimit(): number {
  const found = /^Max open files +\d+ +(\d+|unlimited) /m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return found === undefined || found === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(found);
}

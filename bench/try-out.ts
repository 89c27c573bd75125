import { run } from '../test/support/run.js';
import type { Surroundings } from './model.js';
import { loadClient, parseConnections } from './programs/load.js';
import { runAs } from './users.js';

/** Connects to our own server through a candidate for a moment; rejects if nothing comes back. */
export function tryLoadServer(address: string, port: number, where: Surroundings): Promise<void> {
  return connectFor(0.1, 1, address, port, where);
}

/** Opens connections for so long, so many at once, and closes each of them again. */
export async function connectFor(
  seconds: number,
  atOnce: number,
  address: string,
  port: number,
  where: Surroundings,
): Promise<void> {
  const [program = '', ...args] = runAs(
    where.client,
    loadClient(where.root, 'connections', address, port, atOnce, seconds),
  );
  const { code, stdout, stderr } = await run(program, args);
  if (code !== 0) throw new Error(stderr.trim());
  parseConnections(stdout, atOnce);
}

import { run } from '../test/support/run.js';
import type { Surroundings } from './model.js';
import { loadClient, parseConnections } from './programs/load.js';
import { runAs } from './users.js';

/** Connects to our own server through a candidate for a moment; rejects if nothing comes back. */
export async function tryLoadServer(address: string, port: number, where: Surroundings): Promise<void> {
  const [program = '', ...args] = runAs(where.client, loadClient(where.root, 'connections', address, port, 1, 0.1));
  const { code, stdout, stderr } = await run(program, args);
  if (code !== 0) throw new Error(stderr.trim());
  parseConnections(stdout, 1);
}

// Connections to the load generator's server, to find out whether a candidate works and to warm it up.
import { run } from '../../test/support/run.js';
import { runAs } from '../environment/users.js';
import type { Environment, Target } from '../model.js';
import { loadClient, parseConnections } from '../programs/load.js';

/** Connects to the load generator's server through a candidate for a moment. Rejects if the server does not answer. */
export function tryLoadServer(target: Target, where: Environment): Promise<void> {
  return connectFor(target, { seconds: 0.1, atOnce: 1 }, where);
}

/** Opens and closes connections for some seconds, `atOnce` at a time. */
export async function connectFor(
  target: Target,
  { seconds, atOnce }: { seconds: number; atOnce: number },
  where: Environment,
): Promise<void> {
  const [program = '', ...args] = runAs(where.client, loadClient(where.root, 'connections', target, [atOnce, seconds]));
  const { code, stdout, stderr } = await run(program, args);
  if (code !== 0) throw new Error(stderr.trim());
  parseConnections(stdout, atOnce);
}

/** Step of the start: the router of `--http`, loaded only where it is wanted. */
import { bracket } from '../../protocol/ports/port-text.js';
import { UserError } from '../errors.js';
import { PortBindError } from '../port/errors.js';
import type { StartContext } from '../stack/options.js';

/** Throws UserError. */
export async function startRouter({ options, log, undo }: StartContext, stateDir: string): Promise<void> {
  if (!options.http) return;
  const { HTTPRouter } = await import('./router.js');
  const router = new HTTPRouter({ ...options.http, own: { stateDir }, log });
  undo.push('close the router of --http', () => router.close());
  try {
    router.listen();
  } catch (error) {
    if (!(error instanceof PortBindError)) throw error;
    const { ip, port } = options.http;
    // The hint of the error is about a published port.
    throw new UserError(`--http ${bracket(ip)}:${port}: ${error.message}`);
  }
}

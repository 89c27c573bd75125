/** Step of the start: the router of `--http`, loaded only where it is wanted. */
import type { StartContext } from '../stack/options.js';

/** Throws PortError. */
export async function startRouter({ options, log, undo }: StartContext, stateDir: string): Promise<void> {
  if (!options.http) return;
  const { HTTPRouter } = await import('./router.js');
  const router = new HTTPRouter({ ...options.http, own: { stateDir }, log });
  undo.push('close the router of --http', () => router.close());
  await router.listen();
}

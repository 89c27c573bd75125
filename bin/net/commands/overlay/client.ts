import { OverlayClient } from '../../../../parent/client/overlay-client.js';
import type { NetDeps } from '../../deps.js';

/** Of the running stack; starts one if there is none. Throws what StackAccess.connect() throws. */
export async function overlayClient({ stack }: NetDeps): Promise<OverlayClient> {
  return new OverlayClient((await stack.connect()).socketPath);
}

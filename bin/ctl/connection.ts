/** Which stack rootlessctl talks to. */

import { StackClient } from '../../parent/client/stack-client.js';
import { UsageError } from '../../parent/errors.js';
import { statePath } from '../../protocol/state/state-layout.js';

/** The options that select a stack; the default one, or the only one, without them. */
export interface StackOptions {
  socket?: string;
  stack?: string;
  /** Alias of `stack`. */
  name?: string;
}

/** For the subcommands: the client of the stack that the command line selects. */
export type ConnectStack = () => Promise<StackClient>;

/** Aborts with the first SIGINT or SIGTERM, which then do not end the program. */
export function untilInterrupted(): AbortSignal {
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => abort.abort());
  return abort.signal;
}

/** Throws UsageError and UserError. */
export async function connectToStack({ socket, stack, name = stack }: StackOptions): Promise<StackClient> {
  if (socket && name) throw new UsageError('--socket and --stack are mutually exclusive');
  if (socket) return new StackClient(socket);
  const stateDir = process.env.ROOTLESSKIT_STATE_DIR;
  if (stateDir && !name) return new StackClient(statePath(stateDir, 'apiSocket'));
  const { selectStack } = await import('../../parent/stack-discovery/select.js');
  const record = await selectStack(name);
  if (!record) throw new UsageError('no stack is running; please specify --socket or set $ROOTLESSKIT_STATE_DIR');
  return new StackClient(record.socket);
}

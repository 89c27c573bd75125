/** Connections to stacks of other processes. */
import { resolve } from 'node:path';
import { ContainerStream } from '../client/container-stream.js';
import { StackClient } from '../client/stack-client.js';
import { UserError } from '../errors.js';
import type { ProgramSource } from '../namespaces/piped-program.js';
import { selectStack } from '../stack-discovery/select.js';
import { type Abortable, abortable } from './abort.js';
import { abortSignal, type Checks, checkFields, text } from './checks.js';
import { OptionError } from './errors.js';
import type { RunOptions } from './programs/options.js';
import { streamedProgram } from './programs/streamed.js';
import { BaseHandle, type StackHandle } from './stack-handle.js';

/** A stack that another process has started; it goes on when this is closed. */
class ConnectedStack extends BaseHandle {
  protected readonly endsAll = false;

  protected source(command: readonly string[], options: RunOptions): ProgramSource {
    const { cwd = '', env = {}, extendEnv = true, stdio = 'pipe' } = options;
    if ([stdio].flat().some((kind) => kind !== 'pipe')) {
      throw new OptionError(`invalid stdio ${JSON.stringify(stdio)}: programs of other stacks have pipes`, 'stdio');
    }
    const request = { command, cwd: resolve(cwd), env: Object.fromEntries(environment(env)), onlyEnv: !extendEnv };
    return streamedProgram({
      open: () => ContainerStream.open(this.socketPath, '/v1/programs', request),
      stdin: true,
    });
  }

  protected async end(): Promise<void> {}
}

/** As JSON: null removes a variable. */
function environment(env: Readonly<Record<string, string | undefined>>): [name: string, value: string | null][] {
  return Object.entries(env).map(([name, value]) => [name, value ?? null]);
}

/** Which stack; see connectStack(). */
export interface StackSelection extends Abortable {
  /** Its name, process ID or state directory. */
  stack?: string;
  /** Path of its api.sock. */
  socketPath?: string;
}

const CHECKS: Checks<StackSelection> = { stack: text, socketPath: text, signal: abortSignal };

export async function openConnection(selection: StackSelection): Promise<StackHandle> {
  checkFields(selection, CHECKS);
  const { stack, socketPath, signal } = selection;
  const socket = await abortable(signal, async () => socketPath ?? (await selectStack(stack))?.socket);
  if (socket === undefined) throw new UserError('no stack is running', { hint: 'rootless-run serve' });
  // Rejects where none answers.
  await abortable(signal, () => new StackClient(socket).info());
  return new ConnectedStack(socket);
}

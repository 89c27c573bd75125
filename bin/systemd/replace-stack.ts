import { ContainerClient } from '../../parent/client/container-client.js';
import { StackClient } from '../../parent/client/stack-client.js';
import { UserError } from '../../parent/errors.js';
import { stackAt } from '../../parent/stack-discovery/running.js';
import { stopStack } from '../../parent/stack-discovery/stop.js';
import { type RunningStack, runningStack } from '../../parent/systemd/running-stack.js';
import { statePath } from '../../protocol/state/state-layout.js';
import { systemServiceName } from './unit-files.js';

/** Longest time in ms for a stack and its containers to end. */
const END_TIMEOUT = 40_000;

/** A stack that the service has not started, and its state directory. */
export interface ForeignStack extends RunningStack {
  stateDir: string;
}

/**
 * The stack that must be stopped before the service can start; undefined if there is none. Throws UserError if it is in use,
 * unless `replace` is set.
 */
export async function stackToReplace(stateDir: string, replace: boolean): Promise<ForeignStack | undefined> {
  const running = await runningStack(stateDir, systemServiceName());
  if (running === undefined || running.by === 'user-service') return undefined;
  if (!replace) {
    const use = await useOf(statePath(stateDir, 'apiSocket'));
    if (use !== undefined) {
      throw new UserError(`the stack that is already running as process ${running.pid} ${use}`, {
        hint: `rootless-run stop ${running.pid}, or add --replace`,
      });
    }
  }
  return { ...running, stateDir };
}

/** What would be lost with the stack, as a predicate; undefined for nothing. */
async function useOf(socket: string): Promise<string | undefined> {
  try {
    const containers = (await new ContainerClient(socket).list()).filter(
      ({ status }) => status === 'running' || status === 'restarting',
    );
    const ports = (await new StackClient(socket).listPorts()).filter(({ persistent }) => !persistent);
    const losses = [count(containers.length, 'running container'), count(ports.length, 'published port')];
    const lost = losses.filter((text) => text !== undefined);
    return lost.length === 0 ? undefined : `has ${lost.join(' and ')}`;
  } catch {
    // A stack with a command, for example, has no containers API.
    return 'runs a command, or does not answer';
  }
}

function count(number: number, what: string): string | undefined {
  return number === 0 ? undefined : `${number} ${what}${number === 1 ? '' : 's'}`;
}

/** Resolves when it has ended; it is killed if that takes too long. Throws UserError. */
export async function endStack({ stateDir }: ForeignStack): Promise<void> {
  const stack = await stackAt(stateDir);
  if (stack) await stopStack(stack, END_TIMEOUT);
}

/**
 * The package as a library: createNamespace() starts a stack in this process, connectStack() uses one that runs. Importing this
 * has no effect: what they need is loaded when they are called first. In ports/, programs/ and containers/ is what they return.
 */
import type { StackSelection } from './connected-stack.js';
import type { Namespace } from './namespace.js';
import type { NamespaceOptions } from './options.js';
import type { StackHandle } from './stack-handle.js';

export type { SubIdSource } from '../namespaces/id-map.js';
export type { Stdio } from '../namespaces/piped-program.js';
export type { Switch } from '../network/driver.js';
export type { NetworkName } from '../network/index.js';
export type { PortDriverName } from '../port/index.js';
export type { Propagation } from '../stack/options.js';
export type { Abortable } from './abort.js';
export type { StackSelection } from './connected-stack.js';
export type { Container, ExecOptions } from './containers/container.js';
export type { Containers } from './containers/containers.js';
export type { Network, Networks } from './containers/networks.js';
export type { Egress } from './egress.js';
export { ClosedError, OptionError } from './errors.js';
export type { EventFilter, EventOf, Events, EventType } from './events.js';
export type { Namespace } from './namespace.js';
export type { ContainerDirectories, ExtraNamespace, NamespaceOptions } from './options.js';
export type { NewPort } from './ports/new-port.js';
export type { Port } from './ports/port.js';
export {
  type Program,
  ProgramError,
  type ProgramOptions,
  type ProgramResult,
  type RunOptions,
} from './programs/options.js';
export type { StackHandle } from './stack-handle.js';

/**
 * Starts namespaces with a network of their own; resolves when programs can be run in them. Rejects with an ExpectedError, whose
 * `code` is the reason, and nothing is left then; with the reason of `signal` when that aborts.
 *
 * @example
 *     await using ns = await createNamespace();
 *     await using port = await ns.publish('127.0.0.2:8080:80');
 *     const server = ns.run('python3', ['-m', 'http.server', '80']);
 *     await port.ready();
 */
export async function createNamespace(options: NamespaceOptions = {}): Promise<Namespace> {
  const { startNamespace } = await import('./namespace.js');
  return startNamespace(options);
}

/**
 * Connects to a stack of this user that runs: the one of that name, process ID or state directory, or of that socket; the default
 * one, or else the only one, unless it is given. Rejects with an ExpectedError where there is none.
 */
export async function connectStack(selection: string | StackSelection = {}): Promise<StackHandle> {
  const { openConnection } = await import('./connected-stack.js');
  return openConnection(typeof selection === 'string' ? { stack: selection } : selection);
}

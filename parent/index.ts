/** The stack as a library. */
export { APIError, EventStreamError, StackClient, StackUnreachableError } from './api/client.js';
export {
  ContainerClient,
  type ContainerStream,
  type NewContainer,
  type NewNetwork,
} from './api/container-client.js';
export * from './errors.js';
export { EventBus } from './events.js';
export type { CommandResult } from './namespaces/launcher.js';
export type { NetworkOptions } from './network/driver.js';
export { type NetworkName, networkNames } from './network/index.js';
export type { StackOptions } from './options.js';
export type { PortDriver } from './port/driver.js';
export { PortBindError, PortConflictError, PortError, UnknownPortError } from './port/errors.js';
export { type PortDriverName, portDriverNames } from './port/index.js';
export { Stack, type StackLog } from './stack.js';

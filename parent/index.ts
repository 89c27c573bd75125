/**
 * The package as a library: startStack() starts a stack in this process, StackClient and ContainerClient talk to one that
 * runs. What is exported here is public; everything else may change with any version.
 */

export { EventBus } from './api/event-bus.js';
export {
  ContainerClient,
  type ContainerStream,
  type NewContainer,
  type NewNetwork,
} from './client/container-client.js';
export { APIError, EventStreamError, StackUnreachableError } from './client/errors.js';
export { StackClient } from './client/stack-client.js';
export * from './errors.js';
export type { CommandResult } from './namespaces/launcher.js';
export type { NetworkOptions } from './network/driver.js';
export { type NetworkName, networkNames } from './network/index.js';
export type { PortDriver } from './port/driver.js';
export { PortBindError, PortConflictError, PortError, UnknownPortError } from './port/errors.js';
export { type PortDriverName, portDriverNames } from './port/index.js';
export type { StackLog, StackOptions } from './stack/options.js';
export type { Stack } from './stack/stack.js';
export { startStack } from './stack/start.js';

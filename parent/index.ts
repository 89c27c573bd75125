/**
 * The package as a library: createNamespace() starts a stack in this process, connectStack() uses one that runs; StackClient and
 * ContainerClient are clients of its API. What is exported here is public; everything else may change with any version.
 */
export type { CommandFailure } from '../protocol/errors/expected-error.js';
export type { PortAddress, PortMapping, Transport } from '../protocol/ports/port-mapping.js';
export * from './client/index.js';
export * from './errors.js';
export * from './library/index.js';
export { PortBindError, PortConflictError, PortError, UnknownPortError } from './port/errors.js';

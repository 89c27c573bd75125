/**
 * The package's entry `rootless-net/protocol`: types of the REST API, and of published ports with their grammar.
 *
 * This folder is shared by parent and child: messages, API types, port specs, addresses, errors, text. Nothing here has state or
 * starts anything, and it imports nothing from other folders.
 */
export * from './api/types.js';
export type { Origin } from './dns/origins.js';
export { type ErrorDetails, ExpectedError, type HTTPStatus } from './errors/expected-error.js';
export * from './ports/grammar.js';
export * from './ports/port-mapping.js';
export * from './ports/rootlesskit-json.js';
export * from './ports/status.js';
export { VERSION } from './version.js';

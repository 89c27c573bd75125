/** The types of the REST API, of published ports and their grammar. */
export * from './api.js';
export * from './port-spec.js';
export * from './ports.js';
export { VERSION } from './version.js';

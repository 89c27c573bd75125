import type { NetworkDriver } from '../driver.js';

/** The host's own network: the command is in its namespace, and there is nothing to set up. */
export const host: NetworkDriver = {
  name: 'host',
  probe: async () => undefined,
  setup: async () => ({ onLost: () => {}, close: async () => {} }),
};

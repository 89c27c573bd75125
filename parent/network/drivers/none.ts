import type { NetworkDriver } from '../driver.js';

/** Loopback only. */
export const none: NetworkDriver = {
  name: 'none',
  probe: async () => undefined,
  setup: async () => ({
    info: { driver: 'none', ipv6: false },
    onLost: () => {},
    close: async () => {},
  }),
};

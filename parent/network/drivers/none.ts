import type { NetworkDriver } from './driver.js';

/** Loopback only. */
export const none: NetworkDriver = {
  name: 'none',
  probe: async () => undefined,
  setup: async () => ({
    info: { driver: 'none', dns: [], childIP: '127.0.0.1', ipv6: false },
    onLost: () => {},
    close: async () => {},
  }),
};

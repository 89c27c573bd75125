import { networkInterfaces } from 'node:os';

/**
 * First address of the host that is neither loopback nor IPv6, like RootlessKit's; "" if there is none, or where
 * descriptors have run out.
 */
export function hostGatewayIP(): string {
  try {
    const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    return addresses.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '';
  } catch {
    return '';
  }
}

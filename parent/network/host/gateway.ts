import { networkInterfaces } from 'node:os';

/**
 * First address of the host that is neither loopback nor IPv6, as RootlessKit has it; "" where there is none, or where
 * it cannot be seen for lack of descriptors.
 */
export function hostGatewayIP(): string {
  try {
    const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    return addresses.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '';
  } catch {
    return '';
  }
}

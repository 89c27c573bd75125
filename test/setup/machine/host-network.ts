import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';

/** Addresses of the host that are not on loopback. */
export const host4 = '10.123.0.1';
export const host6 = 'fd00:123::1';

function ip(...args: string[]): void {
  const result = spawnSync('ip', args, { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`ip ${args.join(' ')} failed: ${result.stderr || result.error?.message}`);
}

/**
 * Makes, in a network namespace that is new, the network that the tests expect of a host: loopback, and a device with an address and default routes: pasta wants those, and tests want an address that
 * is not on loopback. Both ends of the pair stay here, and nothing answers at the gateways.
 */
export function makeHostNetwork(): void {
  ip('link', 'set', 'lo', 'up');
  // Namespaces inherit the machine's default, and one that paces (bbr) makes loopback slow.
  writeFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'reno');
  ip('link', 'add', 'host0', 'type', 'veth', 'peer', 'name', 'peer0');
  ip('link', 'set', 'host0', 'up');
  ip('link', 'set', 'peer0', 'up');
  ip('addr', 'add', `${host4}/24`, 'dev', 'host0');
  ip('route', 'add', 'default', 'via', '10.123.0.254', 'dev', 'host0');
  ip('addr', 'add', `${host6}/64`, 'dev', 'host0', 'nodad');
  ip('-6', 'route', 'add', 'default', 'via', 'fd00:123::fe', 'dev', 'host0');
}

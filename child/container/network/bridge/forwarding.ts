/** Makes the stack's namespace a router, which it stays. */
import { readdirSync, writeFileSync } from 'node:fs';
import { errorText } from '../../../../protocol/errors/error-text.js';
import { ContainerError } from '../../errors.js';

let enabled = false;

/** Throws ContainerError. */
export function enableForwarding(): void {
  if (enabled) return;
  const write = (path: string, value: string) => writeFileSync(`/proc/sys/net/${path}`, value);
  try {
    write('ipv4/ip_forward', '1');
    // Packets between containers of one bridge may be routed on purpose (../egress/filter.ts). A redirect would count as one of
    // the few errors that a container is sent a second (icmp(7), icmp_ratelimit), so that refusals would be lost.
    for (const device of readdirSync('/proc/sys/net/ipv4/conf')) write(`ipv4/conf/${device}/send_redirects`, '0');
    // A router ignores router advertisements by default (ip-sysctl, accept_ra), but the stack's device depends on them.
    for (const device of readdirSync('/proc/sys/net/ipv6/conf')) write(`ipv6/conf/${device}/accept_ra`, '2');
    write('ipv6/conf/all/forwarding', '1');
  } catch (error) {
    // A host without IPv6 has no such files.
    if (!errorText(error).includes('ipv6')) {
      throw new ContainerError(`cannot enable forwarding: ${errorText(error)}`, 500);
    }
  }
  enabled = true;
}

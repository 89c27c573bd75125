/** Makes the stack's namespace a router, which it stays. */
import { readdirSync, writeFileSync } from 'node:fs';
import { errnoName, errorText } from '../../../../protocol/errors/error-text.js';
import { ContainerError } from '../../errors.js';

const SETTINGS = '/proc/sys/net';

let enabled = false;

/** Throws ContainerError. */
export function enableForwarding(): void {
  if (enabled) return;
  try {
    write('ipv4/ip_forward', '1');
    // Packets between containers of one bridge may be routed on purpose (../egress/filter.ts). A redirect would count as one of
    // the few errors that a container is sent a second (icmp(7), icmp_ratelimit), so that refusals would be lost.
    writeEach('ipv4', 'send_redirects', '0');
  } catch (error) {
    throw new ContainerError(`cannot enable forwarding: ${errorText(error)}`, 500);
  }
  try {
    // A router ignores router advertisements by default (ip-sysctl, accept_ra), but the stack's device depends on them.
    writeEach('ipv6', 'accept_ra', '2');
    write('ipv6/conf/all/forwarding', '1');
  } catch {
    // A host without IPv6 has no such files.
  }
  enabled = true;
}

/** For all devices that there are, and will be. */
function writeEach(family: 'ipv4' | 'ipv6', setting: string, value: string): void {
  for (const device of readdirSync(`${SETTINGS}/${family}/conf`)) {
    try {
      write(`${family}/conf/${device}/${setting}`, value);
    } catch (error) {
      // It has just gone, as the devices of containers that end do.
      if (errnoName(error) !== 'ENOENT') throw error;
    }
  }
}

function write(path: string, value: string): void {
  writeFileSync(`${SETTINGS}/${path}`, value);
}

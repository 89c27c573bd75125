import { isIPv4 } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { ConnectTarget } from '../wire/messages.js';

const LOOPBACK4 = '127.0.0.1';
const LOOPBACK6 = '::1';

/**
 * Where a connection to a published port goes in the child's network namespace: the addresses to try, in order.
 *
 * RootlessKit's rule is: ChildIP where it is given, else ParentIP unless that is unspecified or the host's gateway
 * address, else 127.0.0.1. It leaves gaps, which are closed here: a second address of the host, `::` and IPv6 addresses
 * of the host do not exist in the child, so they lead to its loopback; loopback is tried in both families, the one that
 * was asked for first; and 127.0.0.2 leads to a server on 127.0.0.1 when nothing listens on 127.0.0.2 itself.
 * A server that is bound to another address on purpose is never reached.
 *
 * `isLocal` is whether an address belongs to the child's namespace; only such addresses are dialled, since any other
 * would leave it again.
 */
export function dialPlan(target: ConnectTarget, isLocal: (ip: string) => boolean): string[] {
  const to = (...ips: string[]): string[] => [...new Set(ips)];
  if (target.ip !== '') return to(plain(target.ip));

  const asked = target.parentIP === '' ? '0.0.0.0' : plain(target.parentIP);
  const loopback = isIPv4(asked) ? [LOOPBACK4, LOOPBACK6] : [LOOPBACK6, LOOPBACK4];
  const range = ipaddr.parse(asked).range();
  if (range === 'unspecified' || asked === target.hostGatewayIP) return to(...loopback);
  if (range === 'loopback' || isLocal(asked)) return to(asked, ...loopback);
  return to(...loopback);
}

/** IPv4 for v4-mapped IPv6. */
function plain(ip: string): string {
  return ipaddr.process(ip).toString();
}

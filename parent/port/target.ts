import { dialPlan } from '../../protocol/ports/dial-rule.js';
import type { PortMapping } from '../../protocol/ports/port-mapping.js';
import { plainAddress } from '../../protocol/ports/port-text.js';
import type { ConnectTarget } from '../../protocol/wire/messages.js';
import { hostGatewayIP } from '../network/host/gateway.js';
import { isUnspecified, socketType } from './listen.js';

/** Where the connections of these ports are to go. */
export function targetOf(mapping: PortMapping, source: ConnectTarget['source'], container = ''): ConnectTarget {
  const { host, target } = mapping;
  const parentIP = plainAddress(host.ip);
  return {
    proto: socketType(mapping),
    ip: target.ip,
    parentIP,
    hostGatewayIP: needsHostGateway(parentIP, target.ip) ? hostGatewayIP() : '',
    source,
    container,
  };
}

/**
 * The addresses of the child that connections to these ports may be tried at, in order, where the parent may make them in the
 * gateway namespace (native/src/inbound/inbound_dials.h). Those that the child does not have are among them: the parent does
 * not know its addresses. Empty where only the agent knows the server, or its address does not matter.
 */
export function inboundAddresses(target: ConnectTarget): string[] {
  return target.source === 'keep' && target.container === '' ? dialPlan(target, () => true) : [];
}

/**
 * Whether the dial rule uses the host's address for such a port. Finding it out takes longer than all else that opens
 * a port: the kernel lists all addresses of all devices.
 */
function needsHostGateway(parentIP: string, childIP: string): boolean {
  return childIP === '' && !isUnspecified(parentIP) && !parentIP.startsWith('127.') && parentIP !== '::1';
}

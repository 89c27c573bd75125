import type { ConnectTarget } from '../../protocol/messages.js';
import type { PortSpec } from '../../protocol/ports.js';
import { hostGatewayIP } from '../host-gateway.js';
import { baseProtocol, isUnspecified } from './listen.js';

/** Where a port's connections are to go. */
export function targetOf(spec: PortSpec, source: ConnectTarget['source']): ConnectTarget {
  const { parentIP = '', childIP = '' } = spec;
  return {
    proto: baseProtocol(spec.proto),
    ip: childIP,
    port: spec.childPort,
    parentIP,
    hostGatewayIP: needsHostGateway(parentIP, childIP) ? hostGatewayIP() : '',
    source,
  };
}

/**
 * Whether the dial rule looks at the host's address for such a port. Finding it out takes longer than all else that opens
 * a port: the kernel tells all addresses of all devices.
 */
function needsHostGateway(parentIP: string, childIP: string): boolean {
  return childIP === '' && !isUnspecified(parentIP) && !parentIP.startsWith('127.') && parentIP !== '::1';
}

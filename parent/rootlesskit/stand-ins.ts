/**
 * Stand-ins for RootlessKit's drivers that do not exist here. Under RootlessKit's name they can be requested: a driver of
 * ours serves instead, and the API reports the requested name. Clients decide by that name and by the reported properties
 * what they can request of a driver.
 */
import type { Info, PortDriverInfo } from '../../protocol/api/types.js';

export const networkStandIns = ['gvisor-tap-vsock', 'vpnkit'] as const;
export type NetworkStandIn = (typeof networkStandIns)[number];

export const portStandIns = ['gvisor-tap-vsock', 'pesto'] as const;
export type PortStandIn = (typeof portStandIns)[number];

/** What a stack under RootlessKit's name reports. */
export interface RootlessKitFace {
  /** Version of the RootlessKit that it replaces. */
  version: string;
  /** The requested driver, where another one serves instead. */
  network?: NetworkStandIn;
  ports?: PortStandIn;
  /** What preserves the addresses of clients with the builtin port driver. */
  sourceBackend: 'nft' | 'iptables' | 'none';
}

export function isNetworkStandIn(name: string): name is NetworkStandIn {
  return networkStandIns.some((known) => known === name);
}

export function isPortStandIn(name: string): name is PortStandIn {
  return portStandIns.some((known) => known === name);
}

/** The requested driver's default MTU in bytes; 0 for the default of the driver that serves. */
export function standInMtu(name: NetworkStandIn | undefined): number {
  return name === 'vpnkit' ? 1500 : 0;
}

/** Name of the requested driver's device; undefined for the default of the driver that serves. */
export function standInDevice(name: NetworkStandIn | undefined): string | undefined {
  return name === undefined ? undefined : 'tap0';
}

/** Line to log where other drivers serve; `network` is the one that does, `lack` what it cannot provide. */
export function standInLine(face: RootlessKitFace, network: string, lack: string | undefined): string | undefined {
  const lines = [
    ...(face.ports === undefined ? [] : [`--port-driver=${face.ports} is served by the port driver builtin`]),
    ...(face.network === undefined
      ? []
      : [`--net=${face.network} ${lack ? `has ${lack}` : `is served by ${network}`}`]),
  ];
  return lines.length === 0 ? undefined : lines.join('; ');
}

/** The stack's information as RootlessKit would report it. */
export function infoBehind(face: RootlessKitFace, info: Info): Info {
  const { networkDriver: network, portDriver: ports } = info;
  return {
    ...info,
    version: face.version,
    ...(network && { networkDriver: { ...network, driver: face.network ?? network.driver } }),
    ...(ports && { portDriver: portsBehind(face, ports, network) }),
  };
}

function portsBehind(face: RootlessKitFace, ports: PortDriverInfo, network: Info['networkDriver']): PortDriverInfo {
  if (face.ports === undefined) {
    if (ports.driver !== 'builtin') return ports;
    return { ...ports, extra: { sourceIPTransparentBackend: face.sourceBackend } };
  }
  const ipv6 = face.ports === 'pesto' && network?.ipv6 === true;
  return {
    driver: face.ports,
    protos: ['tcp', 'tcp4', 'udp', 'udp4', ...(ipv6 ? ['tcp6', 'udp6'] : [])],
    // With it clients request the child's address, and fail where there is none.
    ...(network?.childIP !== undefined && { disallowLoopbackChildIP: true }),
  };
}

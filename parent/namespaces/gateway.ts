import type { Launcher } from './launcher.js';

/** The gateway namespace of the network driver `builtin` (native/src/gateway/gateway.h). */
export interface GatewayRequest {
  /** Name of the device in the child. */
  ifname: string;
  mtu: number;
  /** SO_MARK of packets that are sent into the gateway namespace. */
  mark: number;
  ipv4: GatewayAddresses;
  ipv6?: GatewayAddresses | undefined;
}

export interface GatewayAddresses {
  child: string;
  gateway: string;
  dns: string;
  /** Prefix length. */
  prefix: number;
}

/** What a gateway namespace consists of. */
export interface Gateway {
  /** Index of its device. */
  index: number;
  /** Hardware addresses, such as 52:55:0a:00:02:02. */
  childMac: string;
  gatewayMac: string;
  /** Its sockets, in the order of struct gateway in native/src/gateway/gateway.h; they belong to the caller. */
  fds: number[];
}

/**
 * Has the launcher connect the child's network namespace with a gateway namespace. Throws LauncherRequestError, whose `what`
 * is the step that failed.
 */
export async function makeGateway(launcher: Launcher, request: GatewayRequest): Promise<Gateway> {
  const { ifname, mtu, mark, ipv4, ipv6 } = request;
  const families = (ipv6 ? [ipv4, ipv6] : [ipv4]).flatMap(({ child, prefix, gateway, dns }) => [
    child,
    String(prefix),
    gateway,
    dns,
  ]);
  const { words, fds } = await launcher.requestFds('gateway', ifname, String(mtu), String(mark), ...families);
  const [index, childMac = '', gatewayMac = ''] = words;
  return { index: Number(index), childMac, gatewayMac, fds };
}

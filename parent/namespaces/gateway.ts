/** The launcher's part of the network driver `builtin`: the gateway namespace (native/src/gateway/gateway.h). */
import type { GatewayAddresses } from '../network/driver.js';
import type { Launcher } from './launcher.js';

/** SO_MARK of packets that are sent into the gateway namespace; any but 0, since nothing else sets marks there. */
const MARK = 0x524e;

export interface GatewayRequest {
  /** Name of the device in the child. */
  ifname: string;
  mtu: number;
  ipv4: GatewayAddresses;
  ipv6?: GatewayAddresses | undefined;
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
  const { ifname, mtu, ipv4, ipv6 } = request;
  const families = (ipv6 ? [ipv4, ipv6] : [ipv4]).flatMap(({ child, prefix, gateway, dns }) => [
    child,
    String(prefix),
    gateway,
    dns,
  ]);
  const { words, fds } = await launcher.requestFds('gateway', ifname, String(mtu), String(MARK), ...families);
  const [index, childMac = '', gatewayMac = ''] = words;
  return { index: Number(index), childMac, gatewayMac, fds };
}

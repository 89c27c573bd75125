/** The launcher's part of the network driver `builtin`: the gateway namespace (native/src/gateway/gateway.h). */
import { native } from '../../native/index.js';
import type { EngineHost, PacketChannel } from '../engine/engine-host.js';
import type { GatewayAddresses } from '../network/driver.js';
import { type Launcher, LauncherRequestError, refusalIn, wordsOf } from './launcher.js';

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
  /** Whether it does without TPROXY (struct gateway, `translates`). */
  translates: boolean;
  /** Its sockets, in the order of struct gateway in native/src/gateway/gateway.h; they belong to the caller. */
  fds: number[];
}

/**
 * Has the launcher connect the child's network namespace with a gateway namespace, while it serves other requests. Throws
 * LauncherRequestError, whose `what` is the step that failed.
 */
export async function makeGateway(
  { engineHost, launcher }: { engineHost: EngineHost; launcher: Launcher },
  request: GatewayRequest,
): Promise<Gateway> {
  const { ifname, mtu, ipv4, ipv6 } = request;
  const families = (ipv6 ? [ipv4, ipv6] : [ipv4]).flatMap(({ child, prefix, gateway, dns }) => [
    child,
    String(prefix),
    gateway,
    dns,
  ]);
  const [ours, theirs] = native().socketpair();
  const channel = engineHost.open(ours, { acceptsFds: true });
  try {
    const reply = firstReply(channel);
    reply.catch(() => {});
    await launcher.requestWith(theirs, 'gateway', ifname, String(mtu), String(MARK), ...families);
    const { words, fds } = await reply;
    const refusal = refusalIn(words);
    if (refusal) throw refusal;
    const [, index, childMac = '', gatewayMac = '', way] = words;
    return { index: Number(index), childMac, gatewayMac, translates: way === 'nat', fds };
  } finally {
    channel.close();
  }
}

/**
 * The channel on which the engine orders sockets of such a namespace (native/src/inbound/socket_orders.h): our end. The
 * launcher serves it once the command runs.
 */
export function orderChannel(launcher: Launcher): number {
  const [ours, theirs] = native().socketpair();
  // Without it the agent makes all connections. Where the launcher has ended, that is reported elsewhere.
  launcher.requestWith(theirs, 'socket-orders').catch(() => {});
  return ours;
}

/** Throws LauncherRequestError where there is none. */
function firstReply(channel: PacketChannel): Promise<{ words: string[]; fds: number[] }> {
  return new Promise((resolve, reject) => {
    channel.onMessage((data, fds) => resolve({ words: wordsOf(data), fds }));
    channel.onClose(() => reject(new LauncherRequestError('EIO', 'make the gateway')));
  });
}

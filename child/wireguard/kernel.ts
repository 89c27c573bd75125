/** The kernel's own WireGuard device. It exists until it is removed, or its network namespace ends. */
import { NetlinkSocket } from '../../native/netlink.js';
import { WireGuardError } from '../../protocol/wireguard/errors.js';
import { RouteSocket } from '../netlink/route.js';
import type { DeviceChange, Implementation, PeerReport } from './implementation.js';
import { familyIn, familyMessage, getMessage, peersIn, setMessages } from './kernel-messages.js';

const NETLINK_GENERIC = 16;

export class KernelWireGuard implements Implementation {
  readonly kind = 'kernel';
  /** It does not go by itself. */
  onLost: (reason: string) => void = () => {};

  private constructor(
    private readonly socket: NetlinkSocket,
    private readonly family: number,
    private readonly name: string,
  ) {}

  /** Undefined where this kernel has none. Throws NetlinkError. */
  static make(name: string): KernelWireGuard | undefined {
    using routes = new RouteSocket();
    // Of an agent before this one.
    routes.deleteLink(name);
    if (!routes.makeDevice(name, 'wireguard')) return undefined;
    const socket = new NetlinkSocket(NETLINK_GENERIC);
    try {
      const answer = socket.get(familyMessage('wireguard'));
      const family = answer && familyIn(answer.payload);
      if (family === undefined)
        throw new WireGuardError(
          'the kernel has WireGuard devices, but no interface to configure them (generic netlink)',
        );
      return new KernelWireGuard(socket, family, name);
    } catch (error) {
      socket[Symbol.dispose]();
      routes.deleteLink(name);
      throw error;
    }
  }

  async set(change: DeviceChange): Promise<void> {
    this.socket.send(...setMessages(this.family, this.name, change));
  }

  async peers(): Promise<PeerReport[]> {
    return peersIn(this.socket.dump(getMessage(this.family, this.name)).map(({ payload }) => payload));
  }

  async close(): Promise<void> {
    this.socket[Symbol.dispose]();
    using routes = new RouteSocket();
    routes.deleteLink(this.name);
  }
}

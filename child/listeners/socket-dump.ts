/** The sockets of a network namespace that may be listened on: sock_diag(7), linux/inet_diag.h. */
import { type Answer, NetlinkSocket } from '../../native/netlink.js';
import type { Listener } from '../../protocol/ports/auto.js';
import { AF_INET, AF_INET6 } from '../netlink/messages.js';

const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;
/** States of include/net/tcp_states.h: of a TCP socket that listens, and of a UDP socket that is not connected. */
const TCP_LISTEN = 10;
const TCP_CLOSE = 7;

/** struct inet_diag_req_v2, and the parts of struct inet_diag_msg that are read here. */
const REQUEST_SIZE = 56;
const MESSAGE_SIZE = 72;
const REQUESTED_PORT = 8;
const SOURCE_PORT = 4;
const SOURCE_ADDRESS = 8;
const INODE = 68;

/** More sockets of one kind are not looked at. */
const MAX_SOCKETS = 4096;

/** The local addresses of sockets that have every one. */
export const EVERY_ADDRESS: readonly string[] = ['0.0.0.0', '::'];

/** A socket with its local address, one of EVERY_ADDRESS for every one. */
export type BoundSocket = Listener;

const KINDS = [
  { transport: 'tcp', family: AF_INET },
  { transport: 'tcp', family: AF_INET6 },
  { transport: 'udp', family: AF_INET },
  { transport: 'udp', family: AF_INET6 },
] as const;

export class SocketDump implements Disposable {
  readonly #socket: NetlinkSocket;

  /**
   * @param netns path of the network namespace; "" for this one
   * Throws the errors of open(2) and setns(2).
   */
  constructor(netns: string) {
    this.#socket = new NetlinkSocket(NETLINK_SOCK_DIAG, netns);
  }

  /**
   * TCP sockets that listen, and UDP sockets that are bound and not connected. Throws NetlinkError.
   *
   * @param port the only one that is wanted: the kernel leaves out the others
   */
  read(transports: ReadonlySet<Listener['transport']>, port = 0): BoundSocket[] {
    return KINDS.filter(({ transport }) => transports.has(transport)).flatMap(({ transport, family }) => {
      const payload = Buffer.alloc(REQUEST_SIZE);
      payload[0] = family;
      payload[1] = transport === 'tcp' ? IPPROTO_TCP : IPPROTO_UDP;
      payload.writeUInt16BE(port, REQUESTED_PORT);
      payload.writeUInt32LE(1 << (transport === 'tcp' ? TCP_LISTEN : TCP_CLOSE), 4);
      const answers = this.#socket.dump({ type: SOCK_DIAG_BY_FAMILY, payload, what: 'list the sockets' });
      return answers.slice(0, MAX_SOCKETS).flatMap((answer) => parse(answer, transport) ?? []);
    });
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}

function parse({ payload }: Answer, transport: Listener['transport']): BoundSocket | undefined {
  if (payload.length < MESSAGE_SIZE) return undefined;
  const port = payload.readUInt16BE(SOURCE_PORT);
  const ip = payload[0] === AF_INET6 ? ipv6At(payload, SOURCE_ADDRESS) : ipv4At(payload, SOURCE_ADDRESS);
  return port === 0 ? undefined : { transport, ip, port, inode: payload.readUInt32LE(INODE) };
}

function ipv4At(data: Buffer, offset: number): string {
  return data.subarray(offset, offset + 4).join('.');
}

/** IPv4 inside IPv6 as IPv4; not shortened, but for the two addresses that are compared. */
function ipv6At(data: Buffer, offset: number): string {
  const bytes = data.subarray(offset, offset + 16);
  const isZero = (end: number) => bytes.subarray(0, end).every((byte) => byte === 0);
  if (isZero(10) && bytes.readUInt16BE(10) === 0xffff) return ipv4At(bytes, 12);
  if (isZero(15)) return bytes[15] === 0 ? '::' : bytes[15] === 1 ? '::1' : `::${bytes[15]?.toString(16)}`;
  return Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index).toString(16)).join(':');
}

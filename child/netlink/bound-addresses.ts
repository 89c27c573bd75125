/** Which addresses the sockets of this network namespace are bound to (sock_diag(7)). */
import ipaddr from 'ipaddr.js';
import { NetlinkSocket, u32 } from './socket.js';

const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const FAMILIES = [2, 10];
const PROTOCOLS = [6, 17];
const ALL_STATES = 0xffffffff;
/** Of struct inet_diag_req_v2, after its first 8 bytes: struct inet_diag_sockid, which is for single sockets. */
const SOCKET_ID_BYTES = 48;
/** In struct inet_diag_msg: of idiag_src, after family, state, timer, retransmissions and the ports. */
const SOURCE_OFFSET = 8;

/** Of TCP and UDP sockets. Throws NetlinkError, as where the kernel has no udp_diag. */
export function boundAddresses(): Set<string> {
  using socket = new NetlinkSocket(NETLINK_SOCK_DIAG);
  const found = new Set<string>();
  for (const family of FAMILIES) {
    for (const protocol of PROTOCOLS) {
      const payload = Buffer.concat([
        Buffer.from([family, protocol, 0, 0]),
        u32(ALL_STATES),
        Buffer.alloc(SOCKET_ID_BYTES),
      ]);
      for (const answer of socket.dump({ type: SOCK_DIAG_BY_FAMILY, payload, what: 'list the sockets' })) {
        const length = family === 2 ? 4 : 16;
        const bytes = answer.payload.subarray(SOURCE_OFFSET, SOURCE_OFFSET + length);
        found.add(ipaddr.process(ipaddr.fromByteArray([...bytes]).toString()).toString());
      }
    }
  }
  return found;
}

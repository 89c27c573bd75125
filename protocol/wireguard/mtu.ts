/** An IPv6 header, a UDP header, and WireGuard's own header and authentication tag; over IPv4 it is 20 bytes less. */
const OVERHEAD = 40 + 8 + 32;
/** What the Internet carries between two hosts, whatever the first one's own network carries. */
const INTERNET = 1500;
/** RFC 8200, section 5. */
const LEAST = 1280;

/**
 * The MTU of a tunnel, and of all devices whose packets go through it, by that of the host's route to the peers: 1420 as a
 * rule. Where members have different ones, TCP uses the smaller, and other large packets are fragmented on the way.
 */
export function tunnelMtu(hostMtu: number): number {
  return Math.max(LEAST, Math.min(hostMtu, INTERNET) - OVERHEAD);
}

/**
 * Marks of packets (SO_MARK in socket(7)) by which routing rules lead replies back to clients' connections. They must differ
 * from those of other programs in the namespace, and share no bit with those of Kubernetes (0x4000, 0x8000).
 */
export const ANSWER_MARKS = {
  /** To and from servers in this namespace, over TCP. */
  local: 0x72_00_00_01,
  /** From containers, set by the packet filter (child/container/network/bridge/answer-filter.ts). */
  container: 0x72_00_00_02,
  /** To servers in this namespace, over UDP. A tunnel transfers the mark of such packets to the packets in them. */
  datagram: 0x72_00_00_03,
} as const;

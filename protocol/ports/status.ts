/** What a published port is doing, as the API reports it. */

/**
 * Whose address servers see of clients that are not on loopback: the client's, the agent's, or by turns, as their addresses
 * allow.
 */
export type PortSource = 'client' | 'agent' | 'both';

/** Why a connection was refused: no server there, no way to it, a limit of descriptors or memory, the agent, anything else. */
export const REFUSALS = ['no-server', 'unreachable', 'limit', 'agent', 'other'] as const;
export type Refusal = (typeof REFUSALS)[number];

/** What the listener of a port is doing. Anything but "listening" comes with a reason. */
export interface PortState {
  state: 'listening' | 'waiting';
  /** One line for people, such as "out of file descriptors; listening again when some are free". */
  reason?: string;
}

/** Since the port was added. `open` counts connections (TCP) or flows (UDP) that are open now. */
export interface PortCounters {
  open: number;
  opened: number;
  /** Connections that nothing in the child accepted. */
  refused: number;
  /** Bytes from the client to the child. */
  bytesIn: number;
  /** Bytes from the child to the client. */
  bytesOut: number;
}

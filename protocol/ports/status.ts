/**
 * A published port, as the command line, the API and the port drivers speak of it. The names of the
 * fields are those of RootlessKit's REST API 1.1, so that its clients work unchanged.
 */
export interface PortSpec {
  /** tcp, tcp4, tcp6, udp, udp4, udp6; kept as the client wrote it. */
  proto: string;
  /** Address on the host; absent or "" means every address. */
  parentIP?: string;
  /** Port on the host; 0 asks for any free one, and the status then holds the one that was taken. */
  parentPort: number;
  /** Address in the child's network namespace; absent means: by the dial rule. */
  childIP?: string;
  childPort: number;
  /** TCP: version of the PROXY protocol in which connections tell the server who the client is; absent for none. */
  proxyProtocol?: 1 | 2;
}

/**
 * Whose address servers see of clients that are not on loopback: the client's, the agent's, or by turns, as their addresses
 * allow.
 */
export type PortSource = 'client' | 'agent' | 'both';

/** What the listener of a port is doing. Anything but "listening" comes with a reason. */
export interface PortState {
  state: 'listening' | 'waiting';
  /** One line for people, such as "out of file descriptors; listening goes on when some are free". */
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

export interface PortStatus {
  /** From 1 on; never used again while the stack runs. */
  id: number;
  spec: PortSpec;
}

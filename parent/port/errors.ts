/** Any failure of a port driver that the user can cause or mend. The message is complete: it is shown as it is. */
export class PortError extends Error {
  override name = 'PortError';
}

/** A port with the same protocol, host address and host port is published already. */
export class PortConflictError extends PortError {
  override name = 'PortConflictError';
  constructor(readonly conflictingId: number) {
    super(`conflict with ID ${conflictingId}`);
  }
}

/** No port has this id. */
export class UnknownPortError extends PortError {
  override name = 'UnknownPortError';
  constructor(readonly id: number) {
    super(`unknown id: ${id}`);
  }
}

/** The host refused the listener: taken, privileged, not an address of the host … */
export class PortBindError extends PortError {
  override name = 'PortBindError';
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** The agent in the child's namespaces does not come up. */
export class AgentError extends PortError {
  override name = 'AgentError';
}

/** The driver does not forward this protocol. */
export class UnsupportedProtocolError extends PortError {
  override name = 'UnsupportedProtocolError';
  constructor(proto: string, why = '') {
    super(`unsupported port protocol ${proto}${why === '' ? '' : `: ${why}`}`);
  }
}

/** slirp4netns refused a request, or does not answer. */
export class SlirpError extends PortError {
  override name = 'SlirpError';
}

import { type ErrorDetails, ExpectedError } from '../../protocol/errors/expected-error.js';
import { formatHost } from '../../protocol/ports/grammar.js';
import type { PortMapping } from '../../protocol/ports/port-mapping.js';

/** Any failure of a port driver that the user can cause or fix. The message is complete: it is shown as it is. */
export class PortError extends ExpectedError {
  override name = 'PortError';
  override readonly code: string = 'port';
  override readonly httpStatus = 400;
}

/** A port with the same protocol, host address and host port is published already. */
export class PortConflictError extends PortError {
  override name = 'PortConflictError';
  override readonly code = 'port-conflict';
  /** @param port what is published already, under that id */
  constructor(
    readonly conflictingId: number,
    port?: PortMapping,
  ) {
    const where = port && formatHost(port);
    super(`conflict with ID ${conflictingId}`, {
      hint: where && `${where} is published already; rootlessctl remove-ports ${conflictingId} removes it`,
    });
  }
}

/** No port has this id. */
export class UnknownPortError extends PortError {
  override name = 'UnknownPortError';
  override readonly code = 'no-such-port';
  constructor(readonly id: number) {
    super(`unknown id: ${id}`);
  }
}

/** The host refused the listener: in use, privileged, not an address of the host … */
export class PortBindError extends PortError {
  override name = 'PortBindError';
  override readonly code = 'port-unavailable';
  /** Of the port that failed, in a range. */
  readonly offset: number;
  constructor(
    /** Name of the errno, such as EADDRINUSE. */
    readonly errno: string,
    message: string,
    { offset = 0, ...details }: ErrorDetails & { offset?: number } = {},
  ) {
    super(message, details);
    this.offset = offset;
  }
}

/** The driver does not forward this protocol. */
export class UnsupportedProtocolError extends PortError {
  override name = 'UnsupportedProtocolError';
  override readonly code = 'unsupported';
  constructor(proto: string, why = '') {
    super(`unsupported port protocol ${proto}${why === '' ? '' : `: ${why}`}`);
  }
}

/** slirp4netns refused a request, or does not answer. */
export class SlirpError extends PortError {
  override name = 'SlirpError';
}

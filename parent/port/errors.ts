import { type ErrorDetails, ExpectedError } from '../../protocol/errors/expected-error.js';
import { formatHost, formatPortMapping } from '../../protocol/ports/grammar.js';
import type { PortMapping } from '../../protocol/ports/port-mapping.js';

/** Any failure of a port driver that the user can cause or fix. The message is complete: it is shown as it is. */
export class PortError extends ExpectedError {
  override name = 'PortError';
  override readonly code: string = 'port';
  override readonly httpStatus = 400;
  /** Of the port that failed, in a range. */
  readonly offset: number;
  constructor(message: string, { offset = 0, ...details }: ErrorDetails & { offset?: number } = {}) {
    super(message, details);
    this.offset = offset;
  }
}

/** A port with the same protocol, host address and host port is published already. */
export class PortConflictError extends PortError {
  override name = 'PortConflictError';
  override readonly code = 'port-conflict';
  /** @param port what is published already, under that id */
  constructor(
    readonly conflictingId: number,
    port?: PortMapping,
    offset?: number,
  ) {
    const where = port && formatHost(port);
    super(`conflict with ID ${conflictingId}`, {
      ...(offset !== undefined && { offset }),
      hint: where && `${where} is published already; rootlessctl remove-ports ${conflictingId} removes it`,
    });
  }
}

/** One of several mappings cannot be published, and so none of them was. */
export class PortListError extends PortError {
  override name = 'PortListError';
  override readonly code: string;
  /** Of the mapping, as errors of the API have it. */
  readonly field: string;
  constructor(
    override readonly cause: ExpectedError,
    /** Which one, of how many; the mapping, if it is known. */
    { index, count, mapping }: { index: number; count: number; mapping?: PortMapping | undefined },
  ) {
    const which = `entry ${index + 1} of ${count}${mapping ? `, ${formatPortMapping(mapping)}` : ''}`;
    super(`${cause.message} (${which}; none was added)`, { cause, hint: cause.hint });
    this.code = cause.code;
    this.field = `${index}`;
  }
}

/** A list of ports to publish has one twice. */
export class DuplicatePortError extends PortError {
  override name = 'DuplicatePortError';
  override readonly code = 'port-conflict';
  constructor(port: PortMapping, offset: number) {
    super(`${formatHost(port)} is given twice`, { offset });
  }
}

/** No port has this id. */
export class UnknownPortError extends PortError {
  override name = 'UnknownPortError';
  override readonly code = 'no-such-port';
  /** @param more end of the message */
  constructor(
    readonly id: number,
    more = '',
  ) {
    super(`unknown id: ${id}${more}`);
  }
}

/** The host refused the listener: in use, privileged, not an address of the host … */
export class PortBindError extends PortError {
  override name = 'PortBindError';
  override readonly code = 'port-unavailable';
  constructor(
    /** Name of the errno, such as EADDRINUSE. */
    readonly errno: string,
    message: string,
    details?: ErrorDetails & { offset?: number },
  ) {
    super(message, details);
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

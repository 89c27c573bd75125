/** What a request about containers can fail with. Each has the HTTP status of its answer; messages are one line. */
export class ContainerError extends Error {
  override name = 'ContainerError';
  constructor(
    message: string,
    readonly status: 400 | 404 | 409 | 500 = 400,
  ) {
    super(message);
  }
}

/** There is no container of that name or id. */
export class NoSuchContainerError extends ContainerError {
  override name = 'NoSuchContainerError';
  constructor(name: string) {
    super(`no such container: ${name}`, 404);
  }
}

/** There is no network of that name or id. */
export class NoSuchNetworkError extends ContainerError {
  override name = 'NoSuchNetworkError';
  /** @param why what is known of it, such as what is wrong with its file */
  constructor(name: string, why = 'rootless-net network ls shows them') {
    super(`no such network: ${name}; ${why}`, 404);
  }
}

/** What is asked for cannot be, as things are. */
export class ConflictError extends ContainerError {
  override name = 'ConflictError';
  constructor(message: string) {
    super(message, 409);
  }
}

/** A program that we need failed, or is not there. */
export class ProgramError extends ContainerError {
  override name = 'ProgramError';
  constructor(message: string) {
    super(message, 500);
  }
}

import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import type { RawData, WebSocket } from 'ws';
import type { Info, PortReport, StackEvent } from '../../protocol/api.js';
import type { PortSpec, PortStatus } from '../../protocol/ports.js';

/** The stack refused a request. The message is the stack's own. */
export class APIError extends Error {
  override name = 'APIError';
  constructor(
    /** HTTP status of the answer. */
    readonly status: number,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** No stack answers on the socket. The message names the path and what to do. */
export class StackUnreachableError extends Error {
  override name = 'StackUnreachableError';
  constructor(
    readonly socketPath: string,
    /** Such as ENOENT, ECONNREFUSED, EACCES, ECONNRESET. */
    readonly code: string,
    options?: ErrorOptions,
  ) {
    super(unreachable(socketPath, code), options);
  }
}

/** The event stream ended though the stack did not say that it ends. */
export class EventStreamError extends Error {
  override name = 'EventStreamError';
  constructor(
    /** Close code of RFC 6455; 1006 where there was none. */
    readonly code: number,
    reason: string,
  ) {
    super(`event stream was cut off: ${reason || (code === 1006 ? 'the stack was killed' : `close code ${code}`)}`);
  }
}

/** How many events wait for the reader before the socket is left unread, which the stack notices. */
const MAX_QUEUED = 1000;

/** Close codes of a stream that ended as it should: normal closure, and the stack going away. */
const REGULAR_CLOSE = [1000, 1001];

/**
 * Client of a stack's REST API. Works with RootlessKit's too, which has no counters and no events.
 * Every method throws StackUnreachableError and APIError.
 */
export class StackClient {
  /** @param socketPath path of api.sock in the stack's state directory */
  constructor(readonly socketPath: string) {}

  async info(): Promise<Info> {
    return checked(await this.call('GET', '/v1/info'), isObject) as Info;
  }

  /** With `counters` each entry has `listener` and `counters`, where the port driver knows them. */
  async listPorts({ counters = false } = {}): Promise<PortReport[]> {
    const list = await this.call('GET', counters ? '/v1/ports?counters=true' : '/v1/ports');
    return checked(list ?? [], Array.isArray) as PortReport[];
  }

  /** Resolves when the port listens; its status holds the parent port that was taken where the spec says 0. */
  async addPort(spec: PortSpec, { persist = false } = {}): Promise<PortStatus> {
    const path = persist ? '/v1/ports?persist=true' : '/v1/ports';
    return checked(await this.call('POST', path, spec), isObject) as PortStatus;
  }

  /** Resolves when the port is free again. */
  async removePort(id: number): Promise<void> {
    await this.call('DELETE', `/v1/ports/${id}`);
  }

  /**
   * What happens in the stack from now on. Ends when the stack ends or `signal` aborts.
   * A reader that falls far behind is dropped by the stack.
   * @throws EventStreamError
   */
  async *events({ signal }: { signal?: AbortSignal } = {}): AsyncGenerator<StackEvent, void, undefined> {
    const { WebSocket } = await import('ws');
    if (signal?.aborted) return;
    const socket = new WebSocket('ws://stack/v1/events', {
      createConnection: () => connect(this.socketPath),
      perMessageDeflate: false,
    });
    const inbox = new Inbox(socket, this.socketPath);
    const abort = (): void => socket.terminate();
    signal?.addEventListener('abort', abort);
    try {
      for (;;) {
        const event = await inbox.next();
        if (event === undefined || signal?.aborted) return;
        yield event;
      }
    } catch (error) {
      if (!signal?.aborted) throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
      socket.terminate();
    }
  }

  /**
   * One request of the API, whatever it is, on a connection of its own. Resolves with the body's value, undefined where it
   * is empty.
   */
  async call(method: string, path: string, body?: unknown): Promise<unknown> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const { status, text: answer } = await this.#exchange(method, path, text);
    if (status >= 300) throw new APIError(status, messageOf(answer) ?? `HTTP status ${status}`);
    if (answer.trim() === '') return undefined;
    try {
      return JSON.parse(answer);
    } catch (error) {
      throw new APIError(status, `answer to ${method} ${path} is not JSON`, { cause: error });
    }
  }

  #exchange(method: string, path: string, body: string | undefined): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const unreachable = (error: Error): void =>
        reject(new StackUnreachableError(this.socketPath, codeOf(error), { cause: error }));
      const headers =
        body === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };
      const request = httpRequest({ socketPath: this.socketPath, method, path, headers, agent: false }, (response) => {
        readText(response).then((text) => resolve({ status: response.statusCode ?? 0, text }), unreachable);
      });
      request.once('error', unreachable);
      request.end(body);
    });
  }
}

/** Turns the frames of a WebSocket into values to be awaited; stops reading the socket when too many wait. */
class Inbox {
  readonly #socket: WebSocket;
  readonly #events: StackEvent[] = [];
  #wake: (() => void) | undefined;
  #ended: { error?: Error } | undefined;

  constructor(socket: WebSocket, socketPath: string) {
    this.#socket = socket;
    socket.on('message', (data: RawData) => this.#push(data));
    socket.on('unexpected-response', (request: ClientRequest, response: IncomingMessage) => {
      refusal(response).then((error) => this.#end({ error }));
      response.once('close', () => request.destroy());
    });
    socket.on('error', (error) =>
      this.#end({ error: new StackUnreachableError(socketPath, codeOf(error), { cause: error }) }),
    );
    socket.on('close', (code, reason) => {
      this.#end(REGULAR_CLOSE.includes(code) ? {} : { error: new EventStreamError(code, reason.toString()) });
    });
  }

  /** The next event; undefined when there will be none. */
  async next(): Promise<StackEvent | undefined> {
    for (;;) {
      const event = this.#events.shift();
      if (event) {
        if (this.#events.length === 0 && this.#socket.isPaused) this.#socket.resume();
        return event;
      }
      if (this.#ended?.error) throw this.#ended.error;
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #push(data: RawData): void {
    try {
      this.#events.push(JSON.parse(data.toString()) as StackEvent);
    } catch {
      this.#end({ error: new EventStreamError(1007, 'the stack sent something that is not JSON') });
      this.#socket.terminate();
    }
    if (this.#events.length >= MAX_QUEUED) this.#socket.pause();
    this.#wake?.();
  }

  /** The first reason stands: an error is followed by the socket's close. */
  #end(end: { error?: Error }): void {
    this.#ended ??= end;
    this.#wake?.();
  }
}

/** Tells a stack from something else that answers on the socket; what is in an answer is the stack's own affair. */
function checked(value: unknown, test: (value: unknown) => boolean): unknown {
  if (!test(value)) throw new APIError(200, `unexpected answer: ${JSON.stringify(value)?.slice(0, 100)}`);
  return value;
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

async function refusal(response: IncomingMessage): Promise<APIError> {
  const status = response.statusCode ?? 0;
  const text = await readText(response).catch(() => '');
  if (status === 404) return new APIError(status, 'this stack has no event stream');
  return new APIError(status, messageOf(text) ?? `HTTP status ${status}`);
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

/** The message of an error's body, which is JSON, or for a path that the stack does not know, text. */
function messageOf(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && 'message' in value) return String(value.message);
  } catch {
    // Not JSON: taken as it is.
  }
  return text.trim() || undefined;
}

function unreachable(socketPath: string, code: string): string {
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return `no stack at ${socketPath}: there is no such socket; is the stack running, and is this its state directory?`;
    case 'ECONNREFUSED':
      return `no stack at ${socketPath}: nobody listens there; the stack has ended, or this is not its api.sock`;
    case 'EACCES':
    case 'EPERM':
      return `no access to the stack at ${socketPath}: permission denied; be the user who started it`;
    default:
      return `the stack at ${socketPath} did not answer (${code}); has it just ended?`;
  }
}

function codeOf(error: Error): string {
  return 'code' in error ? String(error.code) : error.message;
}

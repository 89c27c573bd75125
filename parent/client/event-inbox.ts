/** The event stream as the client reads it. */
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { RawData, WebSocket } from 'ws';
import type { StackEvent } from '../../protocol/api/types.js';
import { refusalOf } from './answer.js';
import { APIError, codeOf, EventStreamError, StackUnreachableError } from './errors.js';

/** How many events wait for the reader before the socket is no longer read, which the stack detects. */
const MAX_QUEUED = 1000;

/** Close codes of a stream that ended as it should: normal closure, and the stack going away. */
const REGULAR_CLOSE = [1000, 1001];

/** Turns the frames of a WebSocket into values to be awaited; stops reading the socket when too many wait. */
export class EventInbox {
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
      this.#end({ error: new EventStreamError(1007, 'the stack sent a frame that is not JSON') });
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

async function refusal(response: IncomingMessage): Promise<APIError> {
  if (response.statusCode !== 404) return refusalOf(response);
  response.resume();
  return new APIError(404, 'this stack has no event stream');
}

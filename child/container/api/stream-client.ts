/** A client of standard streams, over a WebSocket: frames in and out, see exec-streams.ts. */
import type { Readable } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import { STREAM, type StreamControl } from '../../../protocol/containers/types.js';
import { errorBody } from '../../../protocol/errors/error-body.js';
import { signalNumber } from '../../../protocol/system/signals.js';
import { ContainerError } from '../errors.js';
import type { ExecClient, InputSink } from '../exec/exec-client.js';

/** The client's end of a stream. Frames are buffered until pass() is called. */
export class StreamClient implements ExecClient {
  readonly closed: Promise<undefined>;
  #sink: InputSink | undefined;
  readonly #early: (() => void)[] = [];

  constructor(private readonly socket: WebSocket) {
    this.closed = new Promise((resolve) => socket.once('close', () => resolve(undefined)));
    socket.on('message', (data: RawData, isBinary: boolean) => {
      const handle = () => (isBinary ? this.#input(data as Buffer) : this.#controlled(data.toString()));
      if (this.#sink) handle();
      else this.#early.push(handle);
    });
  }

  pass(sink: InputSink): void {
    this.#sink = sink;
    for (const handle of this.#early.splice(0)) handle();
  }

  /** Resolves when the client is ready for more, with whether it is still connected. */
  data(stream: number, data: Uint8Array): Promise<boolean> {
    return new Promise((resolve) => {
      this.socket.send(Buffer.concat([Buffer.from([stream]), data]), (error) => resolve(!error));
    });
  }

  /** Sends everything from a pipe. */
  async passOn(stream: number, from: Readable | null): Promise<void> {
    try {
      for await (const data of from ?? []) await this.data(stream, data as Buffer);
    } catch {
      // The program ended early, which its exit code shows.
    }
  }

  control(message: StreamControl): void {
    this.socket.send(JSON.stringify(message));
  }

  end(message: StreamControl): void {
    this.control(message);
    this.socket.close();
  }

  #input(data: Buffer): void {
    if (data[0] !== STREAM.stdin) return;
    const full = this.#sink?.write(data.subarray(1));
    if (!full) return;
    this.socket.pause();
    void full.then(() => this.socket.resume());
  }

  #controlled(text: string): void {
    try {
      const message = JSON.parse(text) as StreamControl;
      if (message.type === 'resize') this.#sink?.resize(Number(message.columns), Number(message.rows));
      if (message.type === 'stdin-end') this.#sink?.end();
      if (message.type === 'signal') this.#sink?.signal(signalNumber(String(message.signal)));
    } catch (error) {
      const body = errorBody(
        error instanceof SyntaxError ? new ContainerError('received a text frame that is not JSON') : error,
      );
      this.end({ type: 'error', ...body });
    }
  }
}

/** Reports why a stream could not start, with the HTTP status of the error. */
export function refuseStream(socket: WebSocket, error: unknown, status: number): void {
  socket.send(JSON.stringify({ type: 'error', ...errorBody(error), status } satisfies StreamControl));
  socket.close();
}

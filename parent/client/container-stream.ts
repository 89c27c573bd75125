import type { ClientRequest, IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import type { RawData, WebSocket } from 'ws';
import { isFields } from '../../protocol/api/report-shapes.js';
import { STREAM, type StreamControl } from '../../protocol/containers/types.js';
import { parseErrorBody } from '../../protocol/errors/error-body.js';
import { refusalOf } from './answer.js';
import { APIError, StackUnreachableError } from './errors.js';

/** Largest part of the input that is sent as one message, in bytes: stacks refuse some megabytes. */
const MAX_PIECE = 64 * 1024;

/** Close code of RFC 6455 for a message that is larger than the other end accepts. */
const TOO_LARGE = 1009;

/** The streams of a container, or of a program in one; see child/container/api/exec-streams.ts for the protocol. */
export class ContainerStream {
  /** The exit code. Rejects with APIError where the program could not be started, or the stream was cut off. */
  readonly exit: Promise<number>;
  /** Resolves when the program runs, or has ended; rejects as `exit` does. */
  readonly started: Promise<void>;
  onData: (stream: 'stdout' | 'stderr', data: Buffer) => void = () => {};
  #early: [stream: 'stdout' | 'stderr', data: Buffer][] | undefined = [];

  private constructor(private readonly socket: WebSocket) {
    let start = () => {};
    const started = new Promise<void>((resolve) => {
      start = resolve;
    });
    this.exit = new Promise((resolve, reject) => {
      socket.on('message', (data: RawData, isBinary: boolean) => {
        if (isBinary) return this.#data(data as Buffer);
        const message = parseControl(data.toString());
        if (message?.type === 'started') start();
        if (message?.type === 'exit') resolve(message.code);
        if (message?.type === 'error') {
          const { status = 400, message: text, code, hint, field } = message;
          reject(new APIError(status, text, { code, hint, field }));
        }
      });
      socket.once('close', (code) => reject(cutOff(code)));
    });
    this.started = Promise.race([started, this.exit.then(start)]);
    this.started.catch(() => {});
  }

  /**
   * Throws StackUnreachableError and APIError.
   * @param request is sent as the first message, where the URL is not all of the request
   */
  static async open(socketPath: string, url: string, request?: object): Promise<ContainerStream> {
    const { WebSocket } = await import('ws');
    const socket = new WebSocket(`ws://stack${url}`, {
      createConnection: () => connect(socketPath),
      perMessageDeflate: false,
    });
    const stream = new ContainerStream(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('unexpected-response', (request: ClientRequest, response: IncomingMessage) => {
        void refusalOf(response).then(reject);
        response.once('close', () => request.destroy());
      });
      socket.once('error', (error: NodeJS.ErrnoException) => {
        reject(new StackUnreachableError(socketPath, error.code ?? error.message, { cause: error }));
      });
    });
    socket.on('error', () => {});
    if (request) socket.send(JSON.stringify(request));
    return stream;
  }

  /** Gives what comes from now on, and what has come before, to the listener. */
  listen(listener: (stream: 'stdout' | 'stderr', data: Buffer) => void): void {
    this.onData = listener;
    for (const [stream, data] of this.#early ?? []) listener(stream, data);
    this.#early = undefined;
  }

  /** Resolves when more can be written, also where the other end is closed. */
  async write(data: Buffer): Promise<void> {
    for (let at = 0; at < data.length; at += MAX_PIECE) {
      const piece = data.subarray(at, at + MAX_PIECE);
      await new Promise<void>((resolve) => {
        this.socket.send(Buffer.concat([Buffer.from([STREAM.stdin]), piece]), () => resolve());
      });
    }
  }

  /** Nothing comes before resume(), but what is here already. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  control(message: StreamControl): void {
    if (this.socket.readyState === this.socket.OPEN) this.socket.send(JSON.stringify(message));
  }

  close(): void {
    this.socket.terminate();
  }

  #data(frame: Buffer): void {
    const stream = frame[0] === STREAM.stderr ? 'stderr' : 'stdout';
    const data = frame.subarray(1);
    if (this.#early) this.#early.push([stream, data]);
    else this.onData(stream, data);
  }
}

function cutOff(closeCode: number): APIError {
  if (closeCode === TOO_LARGE)
    return new APIError(413, 'the request is larger than the stack accepts', { code: 'invalid' });
  const message = 'the stream was cut off: the stack has ended, or its agent was lost';
  return new APIError(500, message, { code: 'stream-cut-off' });
}

/** Undefined for what is not a control message; it comes from inside the namespaces. */
function parseControl(text: string): Extract<StreamControl, { type: 'started' | 'exit' | 'error' }> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (!isFields(value)) return undefined;
    if (value.type === 'started') return { type: 'started' };
    if (value.type === 'exit' && Number.isInteger(value.code)) return { type: 'exit', code: Number(value.code) & 0xff };
    const error = value.type === 'error' ? parseErrorBody(value) : undefined;
    const status = typeof value.status === 'number' ? value.status : 400;
    if (error) return { type: 'error', code: 'refused', ...error, status };
  } catch {
    // Falls through.
  }
  return undefined;
}

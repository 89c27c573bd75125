/** What the client of a further program has to offer; in the API it is a WebSocket. */
import type { Readable } from 'node:stream';
import type { StreamControl } from '../../../protocol/containers/types.js';

/** Receives a client's input and controls. */
export interface InputSink {
  /** Returns a promise when no more is to come before it resolves. */
  write(data: Buffer): Promise<void> | undefined;
  end(): void;
  resize(columns: number, rows: number): void;
  signal(number: number): void;
}

export interface ExecClient {
  /** Resolves when the client is gone. */
  readonly closed: Promise<undefined>;
  /** Has the client's input, what came before included, go there. */
  pass(sink: InputSink): void;
  /** Resolves when the client is ready for more, with whether it is still there. */
  data(stream: number, data: Uint8Array): Promise<boolean>;
  /** Sends all that comes out of a pipe; never throws. */
  passOn(stream: number, from: Readable | null): Promise<void>;
  control(message: StreamControl): void;
  /** Sends the last message. */
  end(message: StreamControl): void;
}

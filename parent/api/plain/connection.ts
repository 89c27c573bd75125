/**
 * A connection with plain requests. Node's HTTP server is made for far more than clients of the API send: loading it takes
 * longer than the first hundred requests, and until V8 has compiled it each request costs twice what all the rest does.
 *
 * Theory of operation. A request is read here if its head is plain (head.ts) and arrives at once; its body may follow. The
 * first one that is not, and one that arrives before its predecessor is answered, is given to Node's server unread, with
 * the connection. So the rules of HTTP are Node's; what is read here is the part of it that has no exceptions.
 */
import type { Socket } from 'node:net';
import { answerBrokenRequest } from '../broken-request.js';
import { type Reply, replyText } from '../response.js';
import { type PlainHead, parsePlainHead } from './head.js';

/** What serves the requests of a connection. */
export interface PlainServer {
  /** Whether it answers requests for that target, with bodies of that size. */
  serves(target: string, bodyLength: number): boolean;
  /** Never rejects. */
  answer(method: string, target: string, body: Buffer): Promise<Reply>;
  /** Takes over the connection, and the first bytes that are to be read from it. */
  takeOver(socket: Socket, data: Buffer): void;
  /** Time for a whole request, in ms. Between requests a connection may be idle, as Go's clients keep them. */
  timeout: number;
}

const MAX_HEAD = 8 * 1024;
const END_OF_HEAD = '\r\n\r\n';

export class PlainConnection {
  /** Of the request whose body is not complete. */
  #head: PlainHead | undefined;
  #body: Buffer[] = [];
  /** Bytes of the body that are to come. */
  #missing = 0;
  #answering = false;
  /** What came before the answer to the request before it; nothing more is read meanwhile. */
  #early: Buffer | undefined;
  #hasEnded = false;
  #deadline: NodeJS.Timeout | undefined;

  constructor(
    private readonly socket: Socket,
    private readonly server: PlainServer,
  ) {
    socket.on('data', this.#onData).on('end', this.#onEnd).on('error', this.#onError).on('close', this.#stopClock);
    this.#startClock();
  }

  readonly #onError = () => this.socket.destroy();

  readonly #onData = (data: Buffer) => {
    if (this.#answering) this.#keep(data);
    else if (this.#head) this.#readBody(this.#head, data);
    else this.#readHead(data);
  };

  readonly #onEnd = () => {
    this.#hasEnded = true;
    if (this.#head) answerBrokenRequest(new Error('the rest of its body is missing'), this.socket);
    else if (!this.#answering) this.socket.end();
  };

  #readHead(data: Buffer): void {
    const end = data.indexOf(END_OF_HEAD);
    const head = end > 0 && end <= MAX_HEAD ? parsePlainHead(data.toString('latin1', 0, end)) : undefined;
    const body = data.subarray(end + END_OF_HEAD.length);
    if (!head || body.length > head.bodyLength || !this.server.serves(head.target, head.bodyLength)) {
      this.#handOver(data);
    } else if (body.length === head.bodyLength) {
      void this.#answer(head, body);
    } else {
      this.#head = head;
      this.#body = [body];
      this.#missing = head.bodyLength - body.length;
      if (!this.#deadline) this.#startClock();
    }
  }

  #readBody(head: PlainHead, data: Buffer): void {
    this.#body.push(data.subarray(0, this.#missing));
    if (data.length > this.#missing) this.#keep(data.subarray(this.#missing));
    this.#missing -= data.length;
    if (this.#missing > 0) return;
    const body = Buffer.concat(this.#body);
    this.#head = undefined;
    this.#body = [];
    void this.#answer(head, body);
  }

  async #answer({ method, target, closes }: PlainHead, body: Buffer): Promise<void> {
    this.#stopClock();
    this.#answering = true;
    const reply = await this.server.answer(method, target, body);
    this.#answering = false;
    const { socket } = this;
    if (socket.destroyed) return;
    const last = closes || this.#hasEnded;
    const text = replyText(reply, last);
    if (last) {
      // A UNIX socket that is closed with unread bytes in it would discard the answer.
      socket.resume();
      socket.end(text, () => socket.destroy());
      return;
    }
    const isTaken = socket.write(text);
    if (this.#early) {
      this.#handOver(this.#early);
    } else if (!isTaken) {
      socket.pause();
      socket.once('drain', () => socket.resume());
    }
  }

  #keep(data: Buffer): void {
    this.#early = data;
    this.socket.pause();
  }

  #handOver(data: Buffer): void {
    const { socket } = this;
    this.#stopClock();
    socket.off('data', this.#onData).off('end', this.#onEnd).off('error', this.#onError).off('close', this.#stopClock);
    this.server.takeOver(socket, data);
  }

  #startClock(): void {
    this.#deadline = setTimeout(() => {
      const late = Object.assign(new Error('it took too long'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' });
      answerBrokenRequest(late, this.socket);
    }, this.server.timeout).unref();
  }

  readonly #stopClock = () => {
    clearTimeout(this.#deadline);
    this.#deadline = undefined;
  };
}

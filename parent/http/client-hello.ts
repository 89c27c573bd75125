/**
 * The server name in the first message of a TLS client (RFC 8446, section 4.1.2; RFC 6066, section 3), so that the connection can
 * be passed on as it is. The message may be split into several records. It comes from any client: nothing of it is trusted.
 */

/** First byte of a record with a handshake message; no request of HTTP begins with it. */
export const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const RECORD_HEADER = 5;
const SERVER_NAME = 0;
const HOST_NAME = 0;

/** The alert "unrecognized_name", fatal, in a record (RFC 8446, section 6). */
export const UNRECOGNIZED_NAME = Buffer.from([21, 3, 1, 0, 2, 2, 112]);

export type HelloResult =
  /** The name, "" if the client has not sent one. */
  | { name: string }
  /** It is not complete. */
  | 'more'
  /** It is not TLS. */
  | 'invalid';

/** @param data what the client has sent so far */
export function serverNameOf(data: Buffer): HelloResult {
  const { message, isValid } = handshakeIn(data);
  if (!isValid) return 'invalid';
  if (message.length < 4) return 'more';
  if (message[0] !== CLIENT_HELLO) return 'invalid';
  const length = message.readUIntBE(1, 3);
  if (message.length < 4 + length) return 'more';
  try {
    return { name: nameIn(new Reader(message.subarray(4, 4 + length))) };
  } catch {
    return 'invalid';
  }
}

/** What the records contain, as far as they are there. */
function handshakeIn(data: Buffer): { message: Buffer; isValid: boolean } {
  const parts: Buffer[] = [];
  for (let at = 0; at < data.length; ) {
    const isRecord = data[at] === HANDSHAKE && (at + 1 >= data.length || data[at + 1] === 3);
    if (!isRecord) return { message: Buffer.alloc(0), isValid: false };
    if (at + RECORD_HEADER > data.length) break;
    const end = at + RECORD_HEADER + data.readUInt16BE(at + 3);
    parts.push(data.subarray(at + RECORD_HEADER, end));
    at = end;
    // What follows the message may be of another type.
    const message = Buffer.concat(parts);
    if (message.length >= 4 && message.length >= 4 + message.readUIntBE(1, 3)) break;
  }
  return { message: Buffer.concat(parts), isValid: true };
}

/** Throws RangeError where lengths do not fit. */
function nameIn(hello: Reader): string {
  hello.take(2 + 32);
  hello.vector(1);
  hello.vector(2);
  hello.vector(1);
  if (hello.isEmpty) return '';
  const extensions = new Reader(hello.vector(2));
  while (!extensions.isEmpty) {
    const type = extensions.number(2);
    const body = new Reader(extensions.vector(2));
    if (type !== SERVER_NAME) continue;
    const names = new Reader(body.vector(2));
    while (!names.isEmpty) {
      const kind = names.number(1);
      const name = names.vector(2);
      if (kind === HOST_NAME) return name.toString('latin1');
    }
  }
  return '';
}

/** Throws RangeError at the end. */
class Reader {
  #at = 0;

  constructor(private readonly data: Buffer) {}

  get isEmpty(): boolean {
    return this.#at >= this.data.length;
  }

  take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.data.length) throw new RangeError('truncated');
    const part = this.data.subarray(this.#at, end);
    this.#at = end;
    return part;
  }

  number(bytes: 1 | 2): number {
    return this.take(bytes).readUIntBE(0, bytes);
  }

  /** What follows its length, which has so many bytes. */
  vector(bytes: 1 | 2): Buffer {
    return this.take(this.number(bytes));
  }
}

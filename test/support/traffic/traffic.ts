import { createCipheriv, createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, type Socket } from 'node:net';
import { Readable } from 'node:stream';

/** How a TCP connection went, from the client's side. */
export interface Outcome {
  data: Buffer;
  /** The other side ended its side in order. */
  ended: boolean;
  /** Such as ECONNRESET; undefined where all went well. */
  error: string | undefined;
}

/** Resolves when the connection is there. The caller handles its errors from then on. */
export function openConnection(host: string, port: number, localAddress?: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true, ...(localAddress && { localAddress }) });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}

/** Reads the connection to its end; ends our side when the other does. */
export function outcomeOf(socket: Socket): Promise<Outcome> {
  return new Promise((resolve) => {
    const received: Buffer[] = [];
    let ended = false;
    let error: string | undefined;
    socket.on('data', (chunk: Buffer) => received.push(chunk));
    socket.once('end', () => {
      ended = true;
      socket.end();
    });
    socket.once('error', (failure: NodeJS.ErrnoException) => {
      error = failure.code ?? failure.message;
    });
    socket.once('close', () => resolve({ data: Buffer.concat(received), ended, error }));
  });
}

/** Connects, sends (keeping its sending side open unless `end`), and reads to the end. Never rejects. */
export function tcpOutcome(host: string, port: number, data = '', { end = true } = {}): Promise<Outcome> {
  const socket = connect({ host, port, allowHalfOpen: true });
  const outcome = outcomeOf(socket);
  if (end) socket.end(data);
  else if (data) socket.write(data);
  return outcome;
}

/** Sends `text` and resolves when as many bytes have come back. */
export function echo(socket: Socket, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const received: Buffer[] = [];
    let length = 0;
    const done = (error?: Error) => {
      socket.off('data', take).off('error', done).off('close', closed);
      if (error) reject(error);
      else resolve(Buffer.concat(received).toString());
    };
    const take = (chunk: Buffer) => {
      received.push(chunk);
      length += chunk.length;
      if (length >= Buffer.byteLength(text)) done();
    };
    const closed = () => done(new Error(`the connection was closed after ${length} bytes`));
    socket.on('data', take).once('error', done).once('close', closed);
    socket.write(text);
  });
}

/**
 * Asks over UDP from a connected socket, which takes an answer from the address that it asked only. Rejects with
 * ECONNREFUSED where nothing is there, and after 10 s of silence.
 */
export function udpAsk(
  host: string,
  port: number,
  data: string | Uint8Array,
  localAddress?: string,
  localPort = 0,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    const timer = setTimeout(() => done(new Error(`no answer from ${host}:${port}/udp`)), 10_000);
    const done = (error: Error | undefined, answer = Buffer.alloc(0)) => {
      clearTimeout(timer);
      socket.close();
      if (error) reject(error);
      else resolve(answer);
    };
    socket.once('error', done);
    socket.once('message', (answer) => done(undefined, answer));
    socket.bind(localPort, localAddress, () => {
      socket.connect(port, host, () => socket.send(data, (error) => error && done(error)));
    });
  });
}

/** The same bytes each time: a keystream, quick to make and nowhere alike. */
export function pseudoRandom(length: number): Readable {
  return Readable.from(chunks(length), { objectMode: false, highWaterMark: 1 << 20 });
}

/** Hexadecimal SHA-256 of pseudoRandom(length). */
export function pseudoRandomHash(length: number): string {
  const hash = createHash('sha256');
  for (const chunk of chunks(length)) hash.update(chunk);
  return hash.digest('hex');
}

function* chunks(length: number): Generator<Buffer> {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), Buffer.alloc(16));
  const zeros = Buffer.alloc(256 * 1024);
  for (let left = length; left > 0; left -= zeros.length)
    yield cipher.update(zeros.subarray(0, Math.min(left, zeros.length)));
}

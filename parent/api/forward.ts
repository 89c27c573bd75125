/**
 * Passes requests on to the agent, which serves its own part of the API on a socket of its own.
 */
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';

/** Who serves containers. */
export interface Backend {
  /** Of its UNIX socket. */
  readonly socketPath: string;
  /** Resolves when it serves. */
  ready(): Promise<void>;
}

const PATHS = /^\/v1\/(containers|networks|gc)(\/|$)/;

/** Whether a path of the API is the agent's. */
export function isForwarded(pathname: string): boolean {
  return PATHS.test(pathname);
}

/** Resolves when the answer has begun, and rejects where there is none; what is half-way then is cut off. */
export async function forward(backend: Backend, request: IncomingMessage, response: ServerResponse): Promise<void> {
  await backend.ready();
  const { method, url, headers } = request;
  await new Promise<void>((resolve, reject) => {
    const onward = httpRequest({ socketPath: backend.socketPath, method, path: url, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
      answer.once('error', () => response.destroy());
      resolve();
    });
    onward.once('error', reject);
    // Who asks goes away: what it asked for goes on, but for streams.
    response.once('close', () => onward.destroy());
    request.pipe(onward);
  });
}

/** As forward(), for a request that changes the protocol: bytes pass both ways from then on. */
export async function forwardUpgrade(
  backend: Backend,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  socket.on('error', () => socket.destroy());
  await backend.ready();
  const onward = connect(backend.socketPath);
  const lines = [`${request.method} ${request.url} HTTP/1.1`];
  for (let at = 0; at + 1 < request.rawHeaders.length; at += 2) {
    lines.push(`${request.rawHeaders[at]}: ${request.rawHeaders[at + 1]}`);
  }
  onward.on('error', () => socket.destroy());
  onward.on('close', () => socket.destroy());
  socket.on('close', () => onward.destroy());
  onward.write(`${lines.join('\r\n')}\r\n\r\n`);
  if (head.length > 0) onward.write(head);
  onward.pipe(socket);
  socket.pipe(onward);
}

/**
 * Passes requests on to the agent, which serves its own part of the API on a socket of its own.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { ContainersError, errorText } from '../errors.js';
import { readBody } from './request-body.js';

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

/** Larger requests are refused; a container may publish thousands of ports. */
const MAX_BODY = 8 * 1024 * 1024;

/** Resolves when the answer has begun, and rejects where there is none. Throws ContainersError and RequestBodyError. */
export async function forward(backend: Backend, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readBody(request, MAX_BODY);
  await backend.ready();
  const { request: httpRequest } = await import('node:http');
  const { method, url } = request;
  const { 'transfer-encoding': _, ...given } = request.headers;
  const headers = { ...given, connection: 'close', 'content-length': body.length };
  await new Promise<void>((resolve, reject) => {
    const options = { socketPath: backend.socketPath, method, path: url, headers, agent: false };
    const onward = httpRequest(options, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
      answer.once('error', () => response.destroy());
      resolve();
    });
    onward.once('error', (error) => reject(new ContainersError(`the agent was lost (${errorText(error)}); try again`)));
    // Nobody waits for the answer any more.
    response.once('close', () => onward.destroy());
    onward.end(body);
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
  if (socket.destroyed) return;
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

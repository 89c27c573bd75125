/** Forwards requests to the agent, which serves its part of the API on a socket of its own. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { MAX_REQUEST_BODY } from '../../protocol/containers/types.js';
import { ContainersError, printable } from '../errors.js';
import { readBody } from './request-body.js';

/** The server of containers. */
export interface Backend {
  /** Path of its UNIX socket. */
  readonly socketPath: string;
  /** Resolves when it serves. */
  ready(): Promise<void>;
}

const PATHS = /^\/v1\/(containers|networks|gc|usage)(\/|$)/;

/** Whether a path of the API is the agent's. */
export function isForwarded(pathname: string): boolean {
  return PATHS.test(pathname);
}

/** Resolves when the answer has begun. Throws ContainersError if there is none, and RequestBodyError. */
export async function forward(backend: Backend, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readBody(request, MAX_REQUEST_BODY);
  await backend.ready();
  const { default: http } = await import('node:http');
  const { method, url } = request;
  const { 'transfer-encoding': _, ...given } = request.headers;
  const headers = { ...given, connection: 'close', 'content-length': body.length };
  await new Promise<void>((resolve, reject) => {
    const createConnection = () => connect(backend.socketPath);
    const options = { createConnection, method, path: url, headers };
    const onward = http.request(options, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
      answer.once('error', () => response.destroy());
      resolve();
    });
    onward.once('error', (error) => reject(agentLost(error)));
    // The client is gone.
    response.once('close', () => onward.destroy());
    onward.end(body);
  });
}

/**
 * Like forward(), for a request that changes the protocol: bytes are copied both ways from then on. Throws
 * ContainersError where there is no answer; the socket is the caller's again then.
 */
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
  socket.on('close', () => onward.destroy());
  onward.write(`${lines.join('\r\n')}\r\n\r\n`);
  if (head.length > 0) onward.write(head);
  await firstByte(onward);
  onward.on('error', () => socket.destroy());
  onward.on('close', () => socket.destroy());
  onward.pipe(socket);
  socket.pipe(onward);
}

/** Resolves when there is something to read. Throws ContainersError if the connection ends first. */
function firstByte(onward: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    const lost = (error?: NodeJS.ErrnoException) => reject(agentLost(error));
    onward.once('error', lost);
    onward.once('close', () => lost());
    onward.once('readable', () => {
      onward.off('error', lost);
      resolve();
    });
  });
}

function agentLost({ code, message }: NodeJS.ErrnoException = new Error('its end was closed')): ContainersError {
  return new ContainersError(`the agent was lost before it answered (${code ?? printable(message)}); try again`);
}

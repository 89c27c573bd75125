import type { Duplex } from 'node:stream';
import type { ErrorBody } from '../errors/error-body.js';

/** Answers a WebSocket request with an HTTP error and the usual JSON body. */
export async function refuseUpgrade(socket: Duplex, status: number, error: ErrorBody): Promise<void> {
  // Already loaded by the HTTP server.
  const { STATUS_CODES } = await import('node:http');
  const body = `${JSON.stringify(error)}\n`;
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'Connection: close',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  socket.on('error', () => socket.destroy());
  // Closing a UNIX socket with unread bytes in it would discard the answer.
  socket.resume();
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

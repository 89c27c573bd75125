import type { Duplex } from 'node:stream';
import type { ErrorBody } from '../errors/error-body.js';

/** Reasons of the statuses that our APIs answer with (RFC 9110, section 15); node:http has them too, and takes long to load. */
export const STATUS_TEXTS: Readonly<Record<number, string>> = {
  200: 'OK',
  201: 'Created',
  400: 'Bad Request',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  409: 'Conflict',
  413: 'Payload Too Large',
  426: 'Upgrade Required',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
  507: 'Insufficient Storage',
};

/** Answers a WebSocket request with an HTTP error and the usual JSON body. */
export function refuseUpgrade(socket: Duplex, status: number, error: ErrorBody): void {
  const body = `${JSON.stringify(error)}\n`;
  const head = [
    `HTTP/1.1 ${status} ${STATUS_TEXTS[status] ?? ''}`,
    'Connection: close',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  socket.on('error', () => socket.destroy());
  // Closing a UNIX socket with unread bytes in it would discard the answer.
  socket.resume();
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

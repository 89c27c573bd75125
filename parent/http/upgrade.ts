/**
 * WebSockets: the request to change the protocol is forwarded like any other, and if the server agrees, the two connections are
 * one from then on, whatever is sent. Requests for other protocols, such as h2c, are answered as if they did not ask for one
 * (RFC 9110, section 7.8).
 */
import { request as httpRequest, type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { answer, clientHeaders, connectTo, endToEnd, fail, forward, headersOf } from './forward.js';
import type { RoutedPort } from './stack-names.js';

/** Half-open connections are closed after this time without data, in ms; others stay. */
const HALF_OPEN_MS = 60_000;

export interface Upgraded {
  socket: Socket;
  /** What the client has sent behind the request. */
  head: Buffer;
  to: RoutedPort;
}

/** Never throws: a failure is answered with 502. */
export function forwardUpgrade(request: IncomingMessage, { socket, head, to }: Upgraded): void {
  if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
    forward(request, responseOn(request, socket), to);
    return;
  }
  const outgoing = httpRequest({
    createConnection: () => connectTo(to),
    path: request.url ?? '/',
    headers: {
      ...headersOf([...endToEnd(request), ...clientHeaders(request)]),
      Connection: 'Upgrade',
      Upgrade: 'websocket',
    },
    setHost: false,
  });
  outgoing.once('upgrade', (incoming, server, first) => {
    const lines = endToEnd(incoming).map(([name, value]) => `${name}: ${value}`);
    const head101 = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket', ...lines];
    socket.write(`${head101.join('\r\n')}\r\n\r\n`, 'latin1');
    socket.write(first);
    server.write(head);
    join(socket, server);
  });
  outgoing.once('response', (incoming) => answer(incoming, responseOn(request, socket)));
  outgoing.on('error', (error) =>
    fail(responseOn(request, socket), 502, `port ${to.inside} does not answer: ${error.message}`),
  );
  socket.once('close', () => outgoing.destroy());
  outgoing.end();
}

/** For an answer after which the connection is closed. */
export function responseOn(request: IncomingMessage, socket: Socket): ServerResponse {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  response.once('finish', () => socket.end());
  return response;
}

/** Passes on what either sends, until both have ended or one fails. */
export function join(a: Socket, b: Duplex): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.on('error', () => to.destroy());
    from.once('close', () => to.destroy());
    from.once('end', () => {
      if ('setTimeout' in to) (to as Socket).setTimeout(HALF_OPEN_MS, () => to.destroy());
    });
    from.pipe(to);
  }
}

/**
 * Forwards one request to a published port, and its answer.
 *
 * Theory of operation. node:http parses the client's request, strictly, and writes another one: what is forwarded has one
 * framing, so no two readers can disagree about where a request ends (RFC 9112, section 11.2). Each request has a connection of
 * its own to the server, which is closed with it: a server that answers too much affects no other client, and requests of one client's
 * connection may be for different names.
 */
import {
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http';
import { connect } from 'node:net';
import { pipeline, Transform } from 'node:stream';
import type { RoutedPort } from './stack-names.js';

/** For the server to accept the connection, in ms. */
const CONNECT_MS = 10_000;
export const MAX_HEAD = 8 * 1024;

/** Of one connection alone (RFC 9110, section 7.6.1), and those that this router sets. */
const NOT_FORWARDED = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-real-ip',
]);

/** Pairs of names and values as a message has them, without those of the connection. */
export function endToEnd(message: IncomingMessage): [string, string][] {
  const named = (message.headers.connection ?? '').split(',').map((word) => word.trim().toLowerCase());
  const pairs: [string, string][] = [];
  for (let at = 0; at + 1 < message.rawHeaders.length; at += 2) {
    const [name = '', value = ''] = message.rawHeaders.slice(at, at + 2);
    const lower = name.toLowerCase();
    if (!NOT_FORWARDED.has(lower) && !named.includes(lower)) pairs.push([name, value]);
  }
  return pairs;
}

/** By name, with the values of those that stand several times. */
export function headersOf(pairs: readonly [string, string][]): OutgoingHttpHeaders {
  const headers = new Map<string, { name: string; values: string[] }>();
  for (const [name, value] of pairs) {
    const entry = headers.get(name.toLowerCase()) ?? { name, values: [] };
    entry.values.push(value);
    headers.set(name.toLowerCase(), entry);
  }
  return Object.fromEntries(
    [...headers.values()].map(({ name, values }) => [name, values.length === 1 ? values[0] : values]),
  );
}

/** What servers learn of the client; whatever the client itself has sent of it is replaced. */
export function clientHeaders({ socket, headers }: IncomingMessage): [string, string][] {
  return [
    ['X-Forwarded-For', (socket.remoteAddress ?? '').replace(/^::ffff:/, '')],
    ['X-Forwarded-Host', headers.host ?? ''],
    ['X-Forwarded-Proto', 'http'],
  ];
}

/** A connection to a published port, which has to be accepted soon. */
export function connectTo({ host, port }: RoutedPort) {
  const socket = connect({ host, port, noDelay: true });
  const timer = setTimeout(() => socket.destroy(new Error(`no connection within ${CONNECT_MS / 1000} s`)), CONNECT_MS);
  for (const event of ['connect', 'close']) socket.once(event, () => clearTimeout(timer));
  return socket;
}

/** Never throws: a failure is answered with 502, or ends the connection where the answer has begun. */
export function forward(request: IncomingMessage, response: ServerResponse, to: RoutedPort): void {
  const { method, url, headers } = request;
  const isChunked = headers['transfer-encoding'] !== undefined;
  const outgoing = httpRequest({
    createConnection: () => connectTo(to),
    ...(method !== undefined && { method }),
    path: url ?? '/',
    headers: {
      ...headersOf([...endToEnd(request), ...clientHeaders(request)]),
      ...(isChunked && { 'Transfer-Encoding': 'chunked' }),
      Connection: 'close',
    },
    maxHeaderSize: 4 * MAX_HEAD,
    setHost: false,
  });
  let answered = false;
  outgoing.once('response', (incoming) => {
    answered = true;
    answer(incoming, response);
  });
  outgoing.once('continue', () => response.writeContinue());
  outgoing.on('error', (error) => {
    // A server that has answered need not read the rest of the body.
    if (!answered) fail(response, 502, `port ${to.inside} does not answer: ${error.message}`);
  });
  response.once('close', () => outgoing.destroy());
  if (hasBody(request)) sendBody(request, outgoing);
  else outgoing.end();
}

/** Until the server closes its connection: what it does not want is discarded, so that the client gets to read the answer. */
function sendBody(request: IncomingMessage, outgoing: ClientRequest): void {
  // The server may have to answer before the client sends the body.
  outgoing.flushHeaders();
  // An answer that has arrived would be lost if writing failed before it was read: the loop reads first.
  const body = new Transform({ transform: (chunk, _encoding, done) => setImmediate(done, null, chunk) });
  body.pipe(outgoing);
  request.on('error', () => {}).pipe(body);
  outgoing.once('close', () => {
    request.unpipe(body).resume();
    body.destroy();
  });
}

/** Answers as a server has answered. */
export function answer(incoming: IncomingMessage, response: ServerResponse): void {
  try {
    response.writeHead(incoming.statusCode ?? 502, incoming.statusMessage, headersOf(endToEnd(incoming)));
    // Event streams and long polls may have no body for a long time.
    response.flushHeaders();
  } catch {
    // Characters that may not be in a head.
    incoming.destroy();
    fail(response, 502, 'the answer is invalid');
    return;
  }
  pipeline(incoming, response, (error) => {
    // A part of an answer must not look like all of it.
    if (error) response.destroy();
  });
}

/** Whether a body follows a head. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** Answers with one line of text. */
export function fail(response: ServerResponse, status: number, line: string): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const body = `${line}\n`;
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
    'X-Content-Type-Options': 'nosniff',
    'Cache-Control': 'no-store',
    // What follows of a request that is not read must not be parsed as the next one.
    Connection: 'close',
  });
  response.end(body);
}

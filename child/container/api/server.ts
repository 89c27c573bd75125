/**
 * The agent's part of the API on agent.sock: containers, networks, gc, which the parent forwards; and the OCI hooks, which
 * connect directly. Errors have the status of their class and the form of protocol/errors/error-body.ts; those of hooks are
 * plain text.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { MAX_REQUEST_BODY } from '../../../protocol/containers/types.js';
import { errorBody, httpStatusOf } from '../../../protocol/errors/error-body.js';
import { errorText } from '../../../protocol/errors/error-text.js';
import { ExpectedError } from '../../../protocol/errors/expected-error.js';
import { fileErrorOf } from '../../../protocol/errors/file-error.js';
import { refuseUpgrade } from '../../../protocol/wire/refuse-upgrade.js';
import { ContainerError } from '../errors.js';
import { containerRoutes } from './container-routes.js';
import { engineRoutes } from './engine-routes.js';
import { networkRoutes } from './network-routes.js';
import type { Reply, Routes } from './route.js';
import type { Services } from './services.js';
import { refuseStream } from './stream-client.js';
import { type StreamTask, streamTask } from './stream-routes.js';

const routes: Routes = { ...containerRoutes, ...networkRoutes, ...engineRoutes };

export function makeServer(services: Services): Server {
  const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, (request, response) => {
    const url = urlOf(request);
    handle(services, request, url).then(
      ({ status, body }) => respond(response, status, body),
      (error: unknown) => respondError(services, url, response, error),
    );
  });
  server.on('upgrade', (request, socket, head) => {
    // Until there is a WebSocket, which has a listener of its own.
    socket.on('error', () => socket.destroy());
    upgrade(services, request, socket, head).catch((error: unknown) => {
      services.warn(`a stream failed: ${errorText(error)}`);
      socket.destroy();
    });
  });
  return server;
}

/** An invalid target is treated as `/`, which no route has. */
function urlOf({ url = '/' }: IncomingMessage): URL {
  const text = url.startsWith('/') ? `http://agent${url}` : url;
  return new URL(URL.canParse(text) ? text : 'http://agent/');
}

/** The parts of the path after the version. Throws ContainerError. */
function pathOf({ pathname }: URL): string[] {
  try {
    return pathname.split('/').slice(2).map(decodeURIComponent);
  } catch {
    throw new ContainerError(`invalid path ${pathname}: "%" must begin an escape, such as %20`, 404);
  }
}

async function handle(services: Services, request: IncomingMessage, url: URL): Promise<Reply> {
  const path = pathOf(url);
  const key = (parts: string[]) => `${request.method} /${parts.join('/')}`;
  const route = routes[key(path)] ?? routes[key(path.map((part, index) => (index === 1 ? '*' : part)))];
  if (!route) throw new ContainerError(`the API has no ${request.method} ${url.pathname}`, 404);
  return route(services, { name: path[1] ?? '', query: url.searchParams, body: () => readBody(request) });
}

async function upgrade(services: Services, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
  let task: StreamTask;
  try {
    const url = urlOf(request);
    task = streamTask(services, { url, path: pathOf(url), upgrade: request.headers.upgrade });
  } catch (error) {
    return refuseUpgrade(socket, httpStatusOf(error), errorBody(error));
  }
  const { WebSocketServer } = await import('ws');
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  server.handleUpgrade(request, socket, head, (client) => {
    client.on('error', () => {});
    task(client).catch((error: unknown) => refuseStream(client, error, httpStatusOf(error)));
  });
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= MAX_REQUEST_BODY) chunks.push(chunk);
  }
  if (size > MAX_REQUEST_BODY) throw new ContainerError(`the request is larger than ${MAX_REQUEST_BODY} bytes`);
  const text = Buffer.concat(chunks).toString('utf8');
  return text.trim() === '' ? {} : parseJSON(text);
}

/** Throws ContainerError. */
function parseJSON(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ContainerError(`the request is not JSON: ${errorText(error)}`);
  }
}

function respond(response: ServerResponse, status: number, body?: unknown): void {
  const text = body === undefined ? '' : JSON.stringify(body);
  response.writeHead(status, {
    ...(text === '' ? {} : { 'Content-Type': 'application/json' }),
    'Content-Length': Buffer.byteLength(text),
  });
  response.end(text);
}

function respondError({ warn }: Services, url: URL, response: ServerResponse, error: unknown): void {
  const known = error instanceof ExpectedError || fileErrorOf(error) !== undefined;
  const status = httpStatusOf(error);
  if (!known && status === 500) warn(`internal error: ${error instanceof Error ? error.stack : String(error)}`);
  if (url.pathname.startsWith('/v1/hooks/')) {
    response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' }).end(`${errorText(error)}\n`);
    return;
  }
  respond(response, status, errorBody(error));
}

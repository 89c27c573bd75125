import { once } from 'node:events';
import type { Server as HTTPServer, IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Info, PortReport, StackEvent } from '../../protocol/api.js';
import { PortSpecError } from '../../protocol/port-spec.js';
import { parsePortSpecJSON } from '../../protocol/port-spec-json.js';
import type { PortStatus } from '../../protocol/ports.js';
import { printable, UserError } from '../errors.js';
import type { EventBus } from '../events.js';
import type { PortDriver } from '../port/driver.js';
import { PortError } from '../port/errors.js';
import type { KeptPorts } from '../port/kept-ports.js';
import { EventStream } from './event-stream.js';
import { type Backend, forward, forwardUpgrade, isForwarded } from './forward.js';
import { RequestBodyError, readJSON } from './request-body.js';
import { listenOnSocket } from './socket.js';

/**
 * The REST API on the state directory's api.sock: RootlessKit's paths, status codes and bodies, so that its clients
 * work unchanged, and beside them `GET /v1/ports?counters=true` and the event stream of `GET /v1/events`.
 *
 * Whoever may connect to the socket may publish ports: it is the owner of the socket, which has mode 0755.
 */

export interface APIServerOptions {
  /** Absolute path of the socket. A socket that nobody listens on is replaced. */
  socketPath: string;
  info: () => Info;
  /** `undefined` where the stack publishes no ports: requests about ports are then answered with 400. */
  ports: PortDriver | undefined;
  /** `undefined` where the stack keeps no ports: requests to keep one are then answered with 400. */
  kept?: KeptPorts | undefined;
  /** `undefined` where the stack runs no containers: requests about them are then answered with 404. */
  containers?: Backend | undefined;
  events: EventBus;
  /** Gets one line for each failure of ours; the client learns of it too. */
  log?: (line: string) => void;
}

export interface APIServer {
  /** Ends all connections and event streams, and removes the socket. */
  close(): Promise<void>;
}

/** Time that a client has for sending a whole request, in ms. Idle connections may stay, as Go's clients keep them. */
const REQUEST_TIMEOUT = 30_000;

/**
 * Resolves when the socket accepts connections.
 * @throws APISocketError when the path cannot be used: too long, its directory missing or not writable, in use
 */
export async function startAPIServer(options: APIServerOptions): Promise<APIServer> {
  const { socketPath, ports, events } = options;

  const stream = new EventStream(events, () => (ports ? [driverReady(ports)] : []));
  /** Streams that were passed on to the agent, which the server itself knows nothing of any more. */
  const forwarded = new Set<Duplex>();
  const makeHTTP = async (): Promise<HTTPServer> => {
    const http = await import('node:http');
    const made = http.createServer({ requestTimeout: REQUEST_TIMEOUT, keepAliveTimeout: 0 }, (request, response) => {
      handle(options, request, response).catch((error: unknown) => answerError(response, error, options.log));
    });
    made.on('upgrade', (request, socket, head) => {
      sockets.delete(socket);
      const { pathname } = target(request);
      if (options.containers && isForwarded(pathname)) {
        forwarded.add(socket);
        socket.once('close', () => forwarded.delete(socket));
        forwardUpgrade(options.containers, request, socket, head).catch(() => socket.destroy());
        return;
      }
      if (pathname !== '/v1/events') return refuseUpgrade(socket);
      stream.accept(request, socket, head).catch((error: unknown) => {
        socket.destroy();
        options.log?.(`event stream failed: ${describe(error)}`);
      });
    });
    // It listens to nothing itself, but looks for requests that take too long from then on.
    made.emit('listening');
    return made;
  };
  // Most stacks start without anybody to speak to, so HTTP is only loaded for the first who comes.
  let http: Promise<HTTPServer> | undefined;
  /** Those that are not streams. */
  const sockets = new Set<Duplex>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    http ??= makeHTTP();
    http.then((made) => made.emit('connection', socket));
  });

  await listenOnSocket(server, socketPath);
  server.on('error', (error) => options.log?.(`API socket ${socketPath}: ${error.message}`));

  let closed: Promise<unknown> | undefined;
  return {
    async close() {
      if (!closed) {
        closed = once(server, 'close');
        server.close();
        stream.close();
        for (const socket of [...forwarded, ...sockets]) socket.destroy();
        (await http)?.close();
      }
      await closed;
    },
  };
}

const NO_CONTAINERS = 'this stack runs no containers; start one that does with: rootless-run serve';

/** A reply; without a body the response is empty, as RootlessKit's is where there is nothing to say. */
interface Reply {
  status: number;
  body?: unknown;
}

async function handle(options: APIServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = target(request);
  if (isForwarded(pathname)) {
    if (options.containers) return forward(options.containers, request, response);
    return send(response, { status: 404, body: { message: NO_CONTAINERS } });
  }
  const routes = routesOf(pathname, searchParams, options, request);
  if (!routes) return sendText(response, 404, '404 page not found\n');
  const route = routes[request.method ?? ''];
  if (!route) return send(response, { status: 405 });
  send(response, await route());
}

type Routes = Partial<Record<string, () => Reply | Promise<Reply>>>;

/** The methods of a path, or undefined for a path that there is not. */
function routesOf(
  pathname: string,
  query: URLSearchParams,
  options: APIServerOptions,
  request: IncomingMessage,
): Routes | undefined {
  if (pathname === '/v1/info') return { GET: () => ({ status: 200, body: options.info() }) };
  if (pathname === '/v1/ports') {
    return {
      GET: () => ({ status: 200, body: listPorts(options, query.get('counters') === 'true') }),
      POST: async () => ({ status: 201, body: await addPort(options, request, query.get('persist') === 'true') }),
    };
  }
  const id = /^\/v1\/ports\/([^/]+)$/.exec(pathname)?.[1];
  if (id !== undefined) {
    return {
      DELETE: async () => {
        await removePort(options, parseId(id));
        return { status: 200 };
      },
    };
  }
  // Without an upgrade. With one, the request does not come this way.
  if (pathname === '/v1/events') return { GET: () => ({ status: 426, body: { message: 'expected a WebSocket' } }) };
  return undefined;
}

/** Answers with 400 by its class, as every PortError. */
function driver(options: APIServerOptions): PortDriver {
  if (!options.ports) throw new PortError('no PortDriver is available');
  return options.ports;
}

/** RootlessKit answers `null` where no port is published; clients in Go cannot tell it from an empty list. */
function listPorts(options: APIServerOptions, counters: boolean): PortReport[] | null {
  const ports = driver(options);
  const list = ports.list();
  if (list.length === 0) return null;
  return list.map((status) => {
    const report = ports.report(status.id);
    const persistent = counters && options.kept?.has(status.spec) ? { persistent: true } : {};
    if (!report) return { ...status, ...persistent };
    const listener = counters || report.listener.state !== 'listening' ? { listener: report.listener } : {};
    const source = report.source && { source: report.source };
    const { bypass, bypassReason } = report;
    const bypassed = { ...(bypass !== undefined && { bypass }), ...(bypassReason !== undefined && { bypassReason }) };
    const counted = counters && { counters: report.counters };
    return { ...status, ...listener, ...counted, ...source, ...bypassed, ...persistent };
  });
}

async function addPort(options: APIServerOptions, request: IncomingMessage, persistent: boolean): Promise<PortStatus> {
  const ports = driver(options);
  const { kept } = options;
  const body = await readJSON(request);
  if (persistent && !kept) {
    throw new PortError('this stack does not keep ports; start one that does with: rootless-run serve');
  }
  const status = await ports.add(parsePortSpecJSON(body));
  if (!persistent || !kept) return status;
  try {
    await kept.keep(status);
  } catch (error) {
    await ports.remove(status.id);
    throw error;
  }
  return status;
}

async function removePort(options: APIServerOptions, id: number): Promise<void> {
  const ports = driver(options);
  const status = options.kept && ports.list().find((port) => port.id === id);
  await ports.remove(id);
  if (status) await options.kept?.forget(status);
}

function parseId(text: string): number {
  const id = /^[+-]?\d{1,15}$/.test(text) ? Number(text) : undefined;
  if (id === undefined) throw new PortError(`bad id ${printable(text)}: not a number`);
  return id;
}

function driverReady(ports: PortDriver): StackEvent {
  return { time: Date.now(), type: 'driver-state', driver: ports.info.driver, state: 'ready' };
}

const NO_PARAMS = new URLSearchParams();

/** The host does not matter. A target that is no URL gets the answer of a path that there is not. */
function target(request: IncomingMessage): Pick<URL, 'pathname' | 'searchParams'> {
  const text = request.url ?? '/';
  // It is its own path, as nearly every one is.
  if (/^\/[\w/]*$/.test(text)) return { pathname: text, searchParams: NO_PARAMS };
  if (text.startsWith('/')) return new URL(`http://stack${text}`);
  return new URL(URL.canParse(text) ? text : 'http://stack/');
}

function answerError(response: ServerResponse, error: unknown, log?: (line: string) => void): void {
  if (response.destroyed || response.headersSent) {
    response.destroy();
    return;
  }
  const status = statusOf(error);
  if (status === 500) log?.(`internal error in an API request: ${describe(error)}`);
  const message = status === 500 ? `internal error: ${oneLine(error)}` : oneLine(error);
  send(response, { status, body: { message } });
}

/** What the client can mend is 400, as RootlessKit has it. */
function statusOf(error: unknown): number {
  if (error instanceof RequestBodyError) return error.status;
  if (error instanceof UserError) return 503;
  return error instanceof PortError || error instanceof PortSpecError ? 400 : 500;
}

/** As RootlessKit does: errors end with a line break, other bodies do not. */
function send(response: ServerResponse, { status, body }: Reply): void {
  if (body === undefined) {
    response.writeHead(status, { 'Content-Length': 0 }).end();
    return;
  }
  const text = status < 400 ? encodeJSON(body) : `${encodeJSON(body)}\n`;
  response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) });
  response.end(text);
}

function sendText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    'X-Content-Type-Options': 'nosniff',
    'Content-Length': Buffer.byteLength(text),
  });
  response.end(text);
}

/** JSON with the characters escaped that Go's encoder escapes. */
function encodeJSON(value: unknown): string {
  const text = JSON.stringify(value);
  if (!/[<>&\u2028\u2029]/.test(text)) return text;
  return text.replaceAll(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function refuseUpgrade(socket: Duplex): void {
  socket.on('error', () => socket.destroy());
  socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 19\r\n\r\n404 page not found\n', () =>
    socket.destroy(),
  );
}

function oneLine(error: unknown): string {
  return printable(error instanceof Error ? error.message : String(error));
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

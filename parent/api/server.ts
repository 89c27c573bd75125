/**
 * The REST API on the state directory's api.sock: RootlessKit's paths, status codes and bodies, so that its clients
 * work unchanged, and in addition `GET /v1/ports?counters=true` and the event stream of `GET /v1/events`.
 *
 * Any user who may connect to the socket may publish ports: its owner, as it has mode 0755.
 */
import { once } from 'node:events';
import type { Server as HTTPServer, IncomingMessage } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { native } from '../../native/index.js';
import type { StackEvent } from '../../protocol/api/types.js';
import { refuseUpgrade } from '../../protocol/wire/refuse-upgrade.js';
import type { PortDriver } from '../port/driver.js';
import { answerBrokenRequest } from './broken-request.js';
import { isInside } from './egress/peer.js';
import type { EventBus } from './event-bus.js';
import { EventStream } from './event-stream.js';
import { forwardUpgrade, isForwarded } from './forward.js';
import { PlainConnection, type PlainServer } from './plain/connection.js';
import type { ProgramStreams, StartProgram } from './programs/streams.js';
import { MAX_BODY } from './request-body.js';
import { answerError, answerTo, describe, type Reply } from './response.js';
import { answer, handle, NO_CONTAINERS, parseTarget, type RouteOptions } from './routes.js';
import { type APISocket, openSocket } from './socket.js';

export interface APIServerOptions extends RouteOptions {
  /** Absolute path of the socket. A socket that no process listens on is replaced. */
  socketPath: string;
  events: EventBus;
  /** Runs a program in the namespaces. */
  programs?: StartProgram;
  /** Gets one line for each defect; the client gets an error too. */
  log?: (line: string) => void;
}

/** Time that a client has for sending a whole request, in ms. */
const REQUEST_TIMEOUT = 30_000;

interface Listener extends APISocket {
  /** Absent until clients are served. */
  server?: Server;
}

/**
 * Resolves when clients are served. Throws APISocketError if the path cannot be used: too long, its
 * directory missing or not writable, in use.
 */
export async function startAPIServer(options: APIServerOptions): Promise<APIServer> {
  const server = new APIServer(options);
  await server.listenAgain();
  server.serve();
  return server;
}

export class APIServer {
  readonly #stream: EventStream;
  /** All but what depends on the connection. */
  readonly #plain: Omit<PlainServer, 'answer'>;
  /** Loaded for the first request that is not plain. */
  #http: Promise<HTTPServer> | undefined;
  /** Loaded when it is needed first. */
  #programs: Promise<ProgramStreams> | undefined;
  #listener: Listener | undefined;
  #isServing = false;
  #listenerClosed: Promise<unknown> | undefined;
  #closed: Promise<unknown> | undefined;
  /** Connections of HTTP requests, not of streams. */
  readonly #requests = new Set<Duplex>();
  /** Streams that are forwarded to the agent, which Node's server does not know of any more. */
  readonly #forwarded = new Set<Duplex>();
  /** Connections of all kinds. */
  #clients = 0;
  #lastLeft = performance.now();

  /** See startAPIServer(). */
  constructor(private readonly options: APIServerOptions) {
    const { events, ports } = options;
    this.#stream = new EventStream(events, () => (ports ? [driverReady(ports)] : []));
    this.#plain = {
      serves: (path, bodyLength) => bodyLength <= MAX_BODY && !isForwarded(parseTarget(path).pathname),
      takeOver: (socket, data) => this.#takeOver(socket, data),
      timeout: REQUEST_TIMEOUT,
    };
  }

  /** Since when there is no client, on the clock of performance.now(); undefined while there is one. */
  get unusedSince(): number | undefined {
    return this.#clients > 0 ? undefined : this.#lastLeft;
  }

  /**
   * Makes its socket, again where that was removed; connections stay. Clients can connect from then on, and wait until they are
   * served. Throws APISocketError.
   */
  async listenAgain(): Promise<void> {
    if (this.#listenerClosed) return;
    this.#endListener();
    const listener: Listener = await openSocket(this.options.socketPath);
    this.#listener = listener;
    if (this.#listenerClosed) {
      listener.remove();
      this.#endListener();
    } else if (this.#isServing) {
      this.#accept(listener);
    }
  }

  /** Begins to serve clients: apart from their socket, since it takes Node some milliseconds. */
  serve(): void {
    if (this.#isServing || this.#listenerClosed) return;
    this.#isServing = true;
    if (this.#listener) this.#accept(this.#listener);
  }

  #accept(listener: Listener): void {
    const { log, socketPath } = this.options;
    listener.server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#addClient(socket));
    listener.server.on('error', (error) => log?.(`API socket ${socketPath}: ${error.message}`));
    listener.server.listen({ fd: listener.fd });
  }

  #endListener(): Promise<unknown> {
    const { fd, server } = this.#listener ?? {};
    this.#listener = undefined;
    if (server) {
      const closed = once(server, 'close');
      server.close();
      return closed;
    }
    if (fd !== undefined) native().closeFd(fd);
    return Promise.resolve();
  }

  /** Removes the socket, so that there are no new clients; connections stay. */
  stopListening(): void {
    if (this.#listenerClosed) return;
    this.#listener?.remove();
    this.#listenerClosed = this.#endListener();
  }

  /** Ends all connections and event streams, too. */
  async close(): Promise<void> {
    if (!this.#closed) {
      this.stopListening();
      this.#closed = this.#listenerClosed;
      this.#stream.close();
      for (const socket of [...this.#forwarded, ...this.#requests]) socket.destroy();
      (await this.#programs)?.close();
      (await this.#http)?.close();
    }
    await this.#closed;
  }

  #addClient(socket: Socket): void {
    this.#requests.add(socket);
    this.#clients++;
    if (this.options.egress || this.options.programs) isInside(socket);
    socket.once('close', () => {
      this.#requests.delete(socket);
      this.#clients--;
      this.#lastLeft = performance.now();
    });
    new PlainConnection(socket, { ...this.#plain, answer: this.#answerPlain.bind(this, socket) });
  }

  async #answerPlain(socket: Socket, method: string, path: string, body: Buffer): Promise<Reply> {
    try {
      return await answer(this.options, {
        method,
        target: parseTarget(path),
        fromInside: () => isInside(socket),
        body: () => body,
      });
    } catch (error) {
      return answerTo(error, this.options.log);
    }
  }

  /** Gives a connection to Node's server. */
  #takeOver(socket: Socket, data: Buffer): void {
    const drop = () => socket.destroy();
    socket.on('error', drop).pause();
    socket.unshift(data);
    this.#http ??= this.#makeHTTP();
    this.#http.then((http) => {
      socket.off('error', drop);
      if (socket.destroyed) return;
      http.emit('connection', socket);
      socket.resume();
    });
  }

  async #makeHTTP(): Promise<HTTPServer> {
    const { log } = this.options;
    const { default: http } = await import('node:http');
    const server = http.createServer({ requestTimeout: REQUEST_TIMEOUT, keepAliveTimeout: 0 }, (request, response) => {
      handle(this.options, request, response).catch((error: unknown) => answerError(response, error, log));
    });
    server.on('clientError', answerBrokenRequest);
    server.on('upgrade', (request, socket, head) => {
      // An offer of another protocol, such as curl's of HTTP/2, need not be accepted (RFC 9110, 7.8).
      if (request.headers.upgrade?.toLowerCase() === 'websocket' || isForwarded(parseTarget(request.url).pathname)) {
        this.#upgrade(request, socket, head);
        return;
      }
      const response = new http.ServerResponse(request);
      response.shouldKeepAlive = false;
      response.assignSocket(socket as Socket);
      response.once('finish', () => socket.end());
      handle(this.options, request, response).catch((error: unknown) => answerError(response, error, log));
    });
    // It has no listener of its own; this starts its check for requests that take too long.
    server.emit('listening');
    return server;
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { containers, log } = this.options;
    const { pathname, searchParams } = parseTarget(request.url);
    this.#requests.delete(socket);
    if (isForwarded(pathname)) {
      this.#forwarded.add(socket);
      socket.once('close', () => this.#forwarded.delete(socket));
      if (!containers) {
        refuseUpgrade(socket, 404, NO_CONTAINERS);
        return;
      }
      forwardUpgrade(containers, request, socket, head).catch((error: unknown) => {
        const { status, body } = answerTo(error, log);
        refuseUpgrade(socket, status, body);
      });
      return;
    }
    if (pathname === '/v1/programs') {
      this.#upgradeToProgram(request, socket, head);
      return;
    }
    if (pathname !== '/v1/events') {
      refuseUpgrade(socket, 404, { message: `${pathname} is not a WebSocket`, code: 'not-found' });
      return;
    }
    const queries = searchParams.get('queries') === 'true';
    this.#stream.accept(request, socket, head, { queries }).catch((error: unknown) => {
      socket.destroy();
      log?.(`event stream failed: ${describe(error)}`);
    });
  }

  #upgradeToProgram(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { log, programs } = this.options;
    if (!programs || isInside(request.socket)) {
      const message = 'programs can be started from outside of the stack only';
      refuseUpgrade(socket, 403, { message, code: 'refused' });
      return;
    }
    socket.on('error', () => socket.destroy());
    this.#programs ??= import('./programs/streams.js').then(({ ProgramStreams }) => new ProgramStreams(programs, log));
    this.#programs.then((streams) => streams.accept(request, socket, head));
  }
}

function driverReady(ports: PortDriver): StackEvent {
  return { time: Date.now(), type: 'driver-state', driver: ports.info.driver, state: 'ready' };
}

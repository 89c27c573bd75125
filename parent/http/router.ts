/**
 * One port of the host for all names: http://NAME.localhost:PORT/, and https:// with the certificate of the server inside.
 *
 * Theory of operation. The first byte of a connection distinguishes TLS from HTTP. A TLS connection is passed on as it is, to the name in
 * its first message; the router has no keys. Of HTTP each request is led by its own Host (forward.ts). It leads to published
 * ports alone, never to an address that a client names, and only for names below localhost. Heads are limited to 8 KiB, and to
 * 10 s.
 */
import { createServer as createHTTPServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { bracket } from '../../protocol/ports/port-text.js';
import type { StackRecord } from '../../protocol/state/stack-record.js';
import { errorText } from '../errors.js';
import { PortBindError, PortError } from '../port/errors.js';
import { openListeners } from '../port/listen.js';
import { HANDSHAKE, serverNameOf, UNRECOGNIZED_NAME } from './client-hello.js';
import { connectTo, fail, forward, hasBody, MAX_HEAD } from './forward.js';
import { type Route, Routes, type Scheme } from './routes.js';
import { forwardUpgrade, join, responseOn } from './upgrade.js';

const HEAD_MS = 10_000;
const KEEP_ALIVE_MS = 60_000;
const MAX_CONNECTIONS = 512;
/** Where fewer are free, those end that wait for another request of their clients: new ones do not have to wait for them. */
const SPARE_CONNECTIONS = 32;
const RETRY_MS = 2_000;

export interface RouterOptions {
  ip: string;
  port: number;
  own: Pick<StackRecord, 'stateDir'>;
  log: { info: (line: string) => void; warn: (line: string) => void };
  /** How long a head may take, in ms; tests have less. */
  headMs?: number;
  /** Connections at once; tests have fewer. */
  maxConnections?: number;
}

/** Of a request that is led nowhere. */
interface Refusal {
  status: number;
  problem: string;
}

export class HTTPRouter {
  readonly #routes: Pick<Routes, 'find'>;
  readonly #http: Server;
  readonly #headMs: number;
  readonly #maxConnections: number;
  readonly #server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
  readonly #sockets = new Set<Socket>();
  /** Connections of requests that were refused. */
  readonly #refused = new WeakSet<Socket>();
  #retry: NodeJS.Timeout | undefined;

  constructor(
    private readonly options: RouterOptions,
    routes: Pick<Routes, 'find'> = new Routes(options.own),
  ) {
    this.#routes = routes;
    this.#headMs = options.headMs ?? HEAD_MS;
    this.#maxConnections = options.maxConnections ?? MAX_CONNECTIONS;
    this.#http = createHTTPServer({
      maxHeaderSize: MAX_HEAD,
      headersTimeout: this.#headMs,
      // A body may take as long as it likes.
      requestTimeout: 0,
      connectionsCheckingInterval: this.#headMs / 5,
      keepAliveTimeout: KEEP_ALIVE_MS,
      insecureHTTPParser: false,
      // Checked with the rest, see #refusalOf().
      requireHostHeader: false,
    });
    const onRequest = (request: IncomingMessage, response: ServerResponse) => {
      this.#onRequest(request, response).catch(() => response.destroy());
    };
    this.#http.on('request', onRequest);
    this.#http.on('checkContinue', onRequest);
    this.#http.on('upgrade', (request, socket, head) => {
      this.#onUpgrade(request, socket as Socket, head).catch(() => socket.destroy());
    });
    this.#http.on('connect', (request, socket) => {
      fail(responseOn(request, socket as Socket), 405, 'this is not a proxy');
    });
    // It gets its connections from the other server, and checks their time limits from this event on.
    this.#http.emit('listening');
    this.#server.maxConnections = this.#maxConnections;
  }

  /**
   * Listens, or does so as soon as another stack, which then leads the same names, gives the port up. Returns the port.
   * Throws PortError.
   */
  listen(): number {
    const { ip, port, log } = this.options;
    try {
      return this.#listenNow();
    } catch (error) {
      if (!(error instanceof PortBindError && error.errno === 'EADDRINUSE')) throw error;
      log.info(`${bracket(ip)}:${port} is in use; --http takes it as soon as it is free`);
      this.#retry = setInterval(() => this.#tryAgain(), RETRY_MS).unref();
      return port;
    }
  }

  #listenNow(): number {
    const { ip, port } = this.options;
    const { fds, mapping } = openListeners({
      transport: 'tcp',
      host: { ip, port },
      target: { ip: '', port: 1 },
      count: 1,
    });
    this.#server.listen({ fd: fds[0] });
    return mapping.host.port;
  }

  #tryAgain(): void {
    try {
      this.#listenNow();
      clearInterval(this.#retry);
    } catch (error) {
      if (!(error instanceof PortError)) throw error;
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#retry);
    this.#http.close();
    const closed = this.#server.listening && new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    if (this.#sockets.size > this.#maxConnections - SPARE_CONNECTIONS) this.#http.closeIdleConnections();
    socket.once('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    const timer = setTimeout(() => socket.destroy(), this.#headMs);
    socket.once('close', () => clearTimeout(timer));
    socket.once('readable', () => {
      const first: Buffer | null = socket.read();
      if (first === null) return socket.destroy();
      if (first[0] === HANDSHAKE) return this.#onHello(socket, first, timer);
      clearTimeout(timer);
      socket.unshift(first);
      this.#http.emit('connection', socket);
    });
  }

  /** The first message of a TLS client, or its beginning. */
  #onHello(socket: Socket, data: Buffer, timer: NodeJS.Timeout): void {
    const hello = serverNameOf(data);
    if (hello === 'invalid' || (hello === 'more' && data.length > MAX_HEAD)) {
      socket.destroy();
    } else if (hello === 'more') {
      socket.once('readable', () => {
        const more: Buffer | null = socket.read();
        if (more === null) socket.destroy();
        else this.#onHello(socket, Buffer.concat([data, more]), timer);
      });
    } else {
      void this.#passOn(socket, data, hello.name).finally(() => clearTimeout(timer));
    }
  }

  async #passOn(socket: Socket, data: Buffer, name: string): Promise<void> {
    const route = await this.#find(name, 'tls');
    if (!('to' in route)) {
      socket.end(UNRECOGNIZED_NAME);
      return;
    }
    const server = connectTo(route.to);
    server.write(data);
    join(socket, server);
  }

  async #onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const refusal = this.#refusalOf(request);
    const route = refusal ?? (await this.#find(request.headers.host ?? '', 'http'));
    if ('to' in route) forward(request, response, route.to);
    else fail(response, route.status, route.problem);
  }

  async #onUpgrade(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    socket.on('error', () => socket.destroy());
    const refusal = this.#refusalOf(request);
    const route = refusal ?? (await this.#find(request.headers.host ?? '', 'http'));
    if (!('to' in route)) fail(responseOn(request, socket), route.status, route.problem);
    else if (hasBody(request)) fail(responseOn(request, socket), 400, 'a request with Upgrade cannot have a body');
    else forwardUpgrade(request, { socket, head, to: route.to });
  }

  /** What is wrong with a request by itself. Whatever follows on its connection is refused, too: it may not be one. */
  #refusalOf({ url = '', rawHeaders, headers, socket }: IncomingMessage): Refusal | undefined {
    if (this.#refused.has(socket)) return { status: 400, problem: 'an earlier request was refused' };
    const refuse = (status: number, problem: string): Refusal => {
      this.#refused.add(socket);
      return { status, problem };
    };
    const hosts = rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host');
    if (hosts.length !== 1) return refuse(400, 'expected one Host header');
    const coding = headers['transfer-encoding'];
    if (coding !== undefined && coding.toLowerCase() !== 'chunked') {
      return refuse(501, `the transfer coding ${JSON.stringify(coding.slice(0, 100))} is not supported`);
    }
    // An absolute URL is what proxies get (RFC 9112, section 3.2.2).
    if (!url.startsWith('/') && url !== '*') return refuse(400, 'this is not a proxy');
    return undefined;
  }

  async #find(host: string, scheme: Scheme): Promise<Route> {
    try {
      return await this.#routes.find(host, scheme);
    } catch (error) {
      this.options.log.warn(`cannot find out what ${JSON.stringify(host)} is: ${errorText(error)}`);
      return { status: 404, problem: 'the stacks do not answer' };
    }
  }
}

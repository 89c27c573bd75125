/**
 * `--ui ADDRESS`: a page with a live picture of the stack.
 *
 * Theory of operation. The page itself is three static files and knows nothing. It opens a WebSocket, and shows the token that is
 * in the URL's fragment, which browsers do not send to servers and not to other pages; without the token nothing of the stack is
 * sent. A WebSocket is subject to no same-origin policy, so Origin has to be the page's own. What is sent is a snapshot each
 * second, and between them events that would be missed otherwise: refusals, denials, and changes. A browser that does not keep up
 * gets fewer snapshots.
 *
 * Names of programs and containers in what is sent are untrusted: the page shows them as text only, and its Content-Security-Policy
 * permits no script but its own.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocket, WebSocketServer } from 'ws';
import type { StackEvent } from '../../../protocol/api/types.js';
import { isLoopback } from '../../../protocol/net/ip.js';
import { packageFile } from '../../../protocol/paths.js';
import { bracket } from '../../../protocol/ports/port-text.js';
import { refuseUpgrade } from '../../../protocol/wire/refuse-upgrade.js';
import type { EventBus } from '../../api/event-bus.js';
import { errorText, UserError } from '../../errors.js';
import type { ServedAddress } from '../../stack/options.js';
import { answerText, closeHTTP, isAllowedHost, listenHTTP } from './http.js';
import type { Snapshot } from './snapshots.js';

const SNAPSHOT_MS = 1000;
/** Events that are sent between two snapshots; more are counted only. */
const MAX_EVENTS = 100;
/** What a browser may leave unread before it gets no more, in bytes. */
const MAX_UNREAD = 1024 * 1024;
const MAX_WATCHERS = 20;
const PROTOCOL = 'rootless-net';

/** Connections are in the snapshots. */
const LEFT_OUT: readonly StackEvent['type'][] = [
  'connection-opened',
  'connection-closed',
  'outbound-opened',
  'outbound-closed',
];

const FILES: Readonly<Record<string, readonly [file: string, type: string]>> = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/page.css': ['page.css', 'text/css; charset=utf-8'],
  '/page.js': ['page.js', 'text/javascript; charset=utf-8'],
  '/picture.js': ['picture.js', 'text/javascript; charset=utf-8'],
};

export interface UIOptions {
  address: ServedAddress;
  events: EventBus;
  snapshot: () => Promise<Snapshot>;
  log: (line: string) => void;
}

/** Resolves, when it listens, with its URL and with what ends it. Throws UserError. */
export async function serveUI(options: UIOptions): Promise<{ url: string; close: () => void }> {
  const { address, log } = options;
  if (!isLoopback(address.ip)) {
    throw new UserError(`cannot serve the page at ${bracket(address.ip)}: it is not a loopback address`, {
      hint: 'serve it at 127.0.0.1, and reach it from elsewhere with: ssh -L',
    });
  }
  const token = randomBytes(18).toString('base64url');
  const { WebSocketServer } = await import('ws');
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: 1024,
    handleProtocols: () => PROTOCOL,
  });
  const watchers = new Watchers(sockets, options);
  const server = await listenHTTP({ what: 'the page', address, log, serve: servePage });
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    const problem = objection(request, address, token);
    if (problem !== undefined) refuseUpgrade(socket, 403, { message: problem, code: 'forbidden' });
    else watchers.accept(request, socket, head);
  });
  const close = () => {
    watchers.close();
    closeHTTP(server);
  };
  return { url: `http://${bracket(address.ip)}:${address.port}/#token=${token}`, close };
}

async function servePage({ url = '' }: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = url.replace(/[?#].*$/s, '');
  const file = Object.hasOwn(FILES, path) ? FILES[path] : undefined;
  if (!file) return answerText(response, 404, 'not found');
  const [name, type] = file;
  const host = response.req.headers.host ?? '';
  response.setHeader(
    'Content-Security-Policy',
    `default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws://${host}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  );
  response.setHeader('Referrer-Policy', 'no-referrer');
  response.setHeader('Cross-Origin-Resource-Policy', 'same-origin');
  answerText(response, 200, await readFile(packageFile(`dist/parent/observation/web/page/${name}`), 'utf8'), type);
}

/** Why a WebSocket is refused; undefined if it is not. */
function objection(request: IncomingMessage, address: ServedAddress, token: string): string | undefined {
  const { host = '', origin, 'sec-websocket-protocol': protocols = '' } = request.headers;
  if (!isAllowedHost(request, address)) return 'unknown host';
  if (origin !== `http://${host}`) return 'another origin';
  if (request.url !== '/live') return 'not found';
  const given = protocols.split(/, */).find((protocol) => protocol.startsWith('token.'));
  const [wanted, shown] = [`token.${token}`, given ?? ''].map((text) => Buffer.from(text));
  if (wanted?.length !== shown?.length || !wanted || !shown || !timingSafeEqual(wanted, shown)) return 'invalid token';
  return undefined;
}

/** The browsers that look, and what they get. */
class Watchers {
  readonly #watchers = new Set<WebSocket>();
  #unsubscribe: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #events = 0;
  #taking = false;

  constructor(
    private readonly sockets: WebSocketServer,
    private readonly options: UIOptions,
  ) {}

  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.#watchers.size >= MAX_WATCHERS) {
      refuseUpgrade(socket, 503, { message: 'too many pages are open', code: 'limit' });
      return;
    }
    this.sockets.handleUpgrade(request, socket, head, (watcher) => {
      watcher.on('error', () => {});
      watcher.on('close', () => this.#forget(watcher));
      this.#watchers.add(watcher);
      this.#unsubscribe ??= this.options.events.subscribe((event) => this.#onEvent(event));
      this.#timer ??= setInterval(() => void this.#send(), SNAPSHOT_MS);
      void this.#send();
    });
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.terminate();
    this.#watchers.clear();
    this.#stop();
  }

  #onEvent(event: StackEvent): void {
    if (LEFT_OUT.includes(event.type) || this.#events++ >= MAX_EVENTS) return;
    this.#broadcast(event);
  }

  async #send(): Promise<void> {
    if (this.#taking) return;
    this.#taking = true;
    try {
      const snapshot = await this.options.snapshot();
      this.#events = 0;
      this.#broadcast(snapshot);
    } catch (error) {
      this.options.log(`the page: ${errorText(error)}`);
    } finally {
      this.#taking = false;
    }
  }

  #broadcast(message: StackEvent | Snapshot): void {
    const frame = JSON.stringify(message);
    for (const watcher of this.#watchers) if (watcher.bufferedAmount <= MAX_UNREAD) watcher.send(frame);
  }

  #forget(watcher: WebSocket): void {
    this.#watchers.delete(watcher);
    if (this.#watchers.size === 0) this.#stop();
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
  }
}

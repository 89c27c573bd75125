import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocket, WebSocketServer } from 'ws';
import type { StackEvent } from '../../protocol/api/types.js';
import type { EventBus } from './event-bus.js';

/** What a subscriber may leave unread before it is dropped, in bytes: the events of some 20,000 connections. */
const MAX_UNREAD = 4 * 1024 * 1024;

/** Close codes of RFC 6455, section 7.4.1, and of IANA's registry for "try again later". */
const GOING_AWAY = 1001;
const TRY_AGAIN_LATER = 1013;

/** Subscribers need not send anything; their frames are read and dropped. In bytes. */
const MAX_INCOMING = 1024;

/**
 * `GET /v1/events`: each event of the bus is one JSON text frame to every subscriber; those of
 * DNS queries only to those that want them (`?queries=true`). Nothing is kept for later subscribers. Without one there is no subscription to the bus, so that connections cost nothing extra.
 */
export class EventStream {
  readonly #bus: EventBus;
  /** Events that a new subscriber gets before all others. */
  readonly #greeting: () => StackEvent[];
  /** With what ends events of DNS queries, for those that want them. */
  readonly #subscribers = new Map<WebSocket, (() => void) | undefined>();
  /** Sockets that wait until ws is loaded. */
  readonly #pending = new Set<Duplex>();
  #unsubscribe: (() => void) | undefined;
  #server: WebSocketServer | undefined;
  #closed = false;

  constructor(bus: EventBus, greeting: () => StackEvent[]) {
    this.#bus = bus;
    this.#greeting = greeting;
  }

  /** Turns an HTTP upgrade request into a subscription. ws answers requests that are not proper WebSocket handshakes. */
  async accept(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    { queries }: { queries: boolean },
  ): Promise<void> {
    const drop = (): void => void socket.destroy();
    socket.once('error', drop);
    this.#pending.add(socket);
    const server = await this.#load();
    this.#pending.delete(socket);
    socket.off('error', drop);
    if (this.#closed || socket.destroyed) return drop();
    server.handleUpgrade(request, socket, head, (subscriber) => this.#add(subscriber, queries));
  }

  /** Notifies the subscribers that the stack ends, and closes their connections. */
  close(): void {
    this.#closed = true;
    for (const socket of this.#pending) socket.destroy();
    // Also those that were dropped and are still connected.
    for (const client of this.#server?.clients ?? []) {
      client.close(GOING_AWAY, 'the stack ends');
      // The close frame is in the socket's queue already; its answer is not awaited.
      client.terminate();
    }
    for (const endQueries of this.#subscribers.values()) endQueries?.();
    this.#release();
  }

  /** ws costs more time to load than the rest of the server, and most stacks never have a subscriber. */
  async #load(): Promise<WebSocketServer> {
    const { WebSocketServer } = await import('ws');
    this.#server ??= new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      maxPayload: MAX_INCOMING,
    });
    return this.#server;
  }

  #add(subscriber: WebSocket, queries: boolean): void {
    // Without a listener a subscriber that breaks the protocol would end the process; 'close' follows in any case.
    subscriber.on('error', () => {});
    subscriber.on('close', () => this.#forget(subscriber));
    for (const event of this.#greeting()) subscriber.send(JSON.stringify(event));
    this.#subscribers.set(subscriber, queries ? this.#bus.watchQueries() : undefined);
    this.#unsubscribe ??= this.#bus.subscribe((event) => this.#broadcast(event));
  }

  #broadcast(event: StackEvent): void {
    const frame = JSON.stringify(event);
    const isQuery = event.type === 'dns-query';
    for (const [subscriber, endQueries] of this.#subscribers) {
      if (isQuery && !endQueries) continue;
      if (subscriber.bufferedAmount <= MAX_UNREAD) {
        subscriber.send(frame);
        continue;
      }
      this.#forget(subscriber);
      subscriber.close(TRY_AGAIN_LATER, 'too slow: events were left unread');
    }
  }

  #forget(subscriber: WebSocket): void {
    this.#subscribers.get(subscriber)?.();
    this.#subscribers.delete(subscriber);
    if (this.#subscribers.size === 0) this.#release();
  }

  #release(): void {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
  }
}

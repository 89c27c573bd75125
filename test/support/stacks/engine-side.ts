import { createServer, type Server, type Socket } from 'node:net';
import {
  type Engine,
  type EngineEvent,
  type EngineOptions,
  type EngineTimeouts,
  native,
} from '../../../native/index.js';
import { encodeMessage, encodeTarget, PROTOCOL_VERSION } from '../../../protocol/wire/messages.js';
import { waitFor } from '../wait-for.js';

type Kind = EngineEvent['type'];
/** Some members of the union stand for several kinds. */
type EventOf<T extends Kind, E = EngineEvent> = E extends { type: Kind } ? (T extends E['type'] ? E : never) : never;

/** An engine, and its events. Ends with the block. */
export class EngineSide implements Disposable {
  readonly events: EngineEvent[] = [];
  readonly engine: Engine;

  /** @param onEvent called for each event as well */
  constructor(options: EngineOptions = {}, onEvent: (event: EngineEvent) => void = () => {}) {
    const onEvents = (events: EngineEvent[]) => {
      this.events.push(...events);
      events.forEach(onEvent);
    };
    this.engine = new (native().Engine)('', onEvents, options);
  }

  of<T extends Kind>(type: T): EventOf<T>[] {
    return this.events.filter((event) => event.type === type) as EventOf<T>[];
  }

  /** What it logged. */
  get log(): string[] {
    return this.of('log').map(({ text }) => text);
  }

  /** Waits for as many events of that type as `count` in all; resolves to the last of them. */
  async wait<T extends Kind>(type: T, count = 1): Promise<EventOf<T>> {
    await waitFor(() => this.of(type).length >= count, { what: `${count} events ${type}` });
    const found = this.of(type)[count - 1];
    if (!found) throw new Error(`no ${type}`);
    return found;
  }

  [Symbol.dispose](): void {
    this.engine.close();
  }
}

/**
 * The parent's engine, and at the other end of its channel an agent that does nothing by itself: it is notified of the first
 * request for each port (`plan-wanted`), and sends what a test passes.
 */
export class HostilePair implements Disposable {
  readonly parent: EngineSide;
  agent = new EngineSide();
  #channel = 0;
  #ports = 0;
  #requests = 0;

  static async make(timeouts: EngineTimeouts = {}): Promise<HostilePair> {
    const pair = new HostilePair(timeouts);
    await pair.newAgent();
    return pair;
  }

  private constructor(timeouts: EngineTimeouts) {
    this.parent = new EngineSide(timeouts);
  }

  /** Another agent in place of the last one. */
  async newAgent(): Promise<void> {
    this.agent.engine.close();
    this.agent = new EngineSide();
    const [up, down] = native().socketpair();
    const channel = ++this.#channel;
    this.parent.engine.openChannel(channel, up);
    this.agent.engine.serveConnects(1);
    this.agent.engine.openChannel(1, down);
    // As in production: requests come after the agent's hello, so that it is ready for them.
    this.send(encodeMessage({ type: 'hello', version: PROTOCOL_VERSION, pid: process.pid }));
    await this.parent.wait('message', channel);
    this.parent.engine.setAgent(channel);
    // What is sent behind that arrives after it: before, what only an agent may send would be invalid.
    this.parent.engine.send(channel, encodeMessage({ type: 'ping' }));
    await this.agent.wait('message');
  }

  /** A port of the parent's, on 127.0.0.1; resolves to its number there. `childPort` is where it is to lead. */
  publish(childPort: number, type: 'tcp' | 'udp' = 'tcp'): { id: number; port: number; target: Buffer } {
    const id = ++this.#ports;
    const { fd, port } = native().listen('127.0.0.1', 0, type, false);
    // Each port is a target of its own: the agent is notified of each first request.
    const target = encodeTarget({
      proto: type,
      ip: `id ${id}`,
      parentIP: '',
      hostGatewayIP: '',
      source: 'hide',
      container: '',
    });
    this.parent.engine.addPorts(id, type, [fd], childPort, target, 0);
    return { id, port, target };
  }

  /**
   * Waits until the agent was notified of so many ports in all, and resolves to the id of the next request. To be called
   * once for each request, in their order.
   */
  async asked(count: number): Promise<number> {
    await this.agent.wait('plan-wanted', count);
    return ++this.#requests;
  }

  /** What the agent sends up. Descriptors are closed here afterwards. */
  send(packet: Uint8Array, fds: number[] = []): void {
    this.agent.engine.send(1, packet, fds);
  }

  [Symbol.dispose](): void {
    this.agent.engine.close();
    this.parent.engine.close();
  }
}

/** A server in this process, with its connections. */
export interface LocalServer extends AsyncDisposable {
  port: number;
  sockets: Socket[];
}

export async function localServer(serve: (socket: Socket) => void): Promise<LocalServer> {
  const sockets: Socket[] = [];
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: address !== null && typeof address === 'object' ? address.port : 0,
    sockets,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

/** The forwarder of native/src/dns between clients and resolvers of the tests' own. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, connect as netConnect, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { nativeTestEnvironment, nativeTestProgram } from '../native-test.js';
import { waitFor } from '../wait-for.js';
import { numbers16 } from './dns.js';

/** Calls the function with each message that comes behind its length. */
export function readStream(socket: Socket, onMessage: (message: Buffer) => void): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE()) {
      const end = 2 + rest.readUInt16BE();
      onMessage(rest.subarray(2, end));
      rest = rest.subarray(end);
    }
  });
}

export function withLength(message: Buffer): Buffer {
  return Buffer.concat([numbers16(message.length), message]);
}

/** The query as its answer without records. */
export function answerTo(query: Buffer, flags = 0x8180): Buffer {
  const answer = Buffer.from(query);
  answer.writeUInt16BE(flags, 2);
  return answer;
}

/** A query that a resolver has received. */
export interface Asked {
  readonly query: Buffer;
  readonly tcp: boolean;
  /** Of the peer. */
  readonly port: number;
  reply(message: Buffer): void;
  /** Ends the connection; over TCP only. */
  hangUp(): void;
}

/** A resolver on 127.0.0.1, UDP and TCP on the same port; it does what its `handle` does. */
export class FakeResolver implements AsyncDisposable {
  readonly asked: Asked[] = [];
  connections = 0;
  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(udp: UdpSocket, tcp: Server, handle: (asked: Asked) => void) {
    this.#udp = udp;
    this.#tcp = tcp;
    const take = (asked: Asked) => {
      this.asked.push(asked);
      handle(asked);
    };
    udp.on('message', (query: Buffer, from: RemoteInfo) => {
      const reply = (message: Buffer) => udp.send(message, from.port, from.address);
      take({ query, tcp: false, port: from.port, reply, hangUp: () => {} });
    });
    tcp.on('connection', (socket) => {
      this.connections++;
      this.#sockets.add(socket);
      socket.on('error', () => {});
      const { remotePort: port = 0 } = socket;
      const reply = (message: Buffer) => socket.write(withLength(message));
      readStream(socket, (query) => take({ query, tcp: true, port, reply, hangUp: () => socket.destroy() }));
    });
  }

  static async make(
    handle: (asked: Asked) => void = ({ query, reply }) => reply(answerTo(query)),
  ): Promise<FakeResolver> {
    for (;;) {
      const udp = createSocket('udp4');
      udp.bind(0, '127.0.0.1');
      await once(udp, 'listening');
      const tcp = createServer();
      tcp.listen(udp.address().port, '127.0.0.1');
      const listens = await once(tcp, 'listening').then(
        () => true,
        () => false,
      );
      if (listens) return new FakeResolver(udp, tcp, handle);
      // Somebody has the port over TCP.
      udp.close();
    }
  }

  get port(): number {
    return this.#udp.address().port;
  }

  get words(): string {
    return `127.0.0.1 ${this.port}`;
  }

  /** Waits until it has been asked that often. */
  async wait(count: number): Promise<Asked> {
    await waitFor(() => this.asked.length >= count, { what: `${count} queries` });
    const asked = this.asked[count - 1];
    assert(asked);
    return asked;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all([
      new Promise<void>((done) => this.#udp.close(done)),
      new Promise((done) => this.#tcp.close(done)),
    ]);
  }
}

/** `native_test dns-serve`, and clients of it. */
export class DnsServe implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #udp = createSocket('udp4');
  readonly #waiting = new Map<number, (reply: Buffer) => void>();
  #errors = '';
  udpPort = 0;
  tcpPort = 0;

  private constructor() {
    const env = { ...process.env, ...nativeTestEnvironment() };
    const child = spawn(nativeTestProgram, ['dns-serve'], { env, stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    child.stderr.on('data', (chunk: Buffer) => {
      this.#errors += chunk;
    });
    this.#udp.on('message', (reply: Buffer) => this.#waiting.get(reply.readUInt16BE())?.(reply));
  }

  static async make(...resolvers: string[]): Promise<DnsServe> {
    const side = new DnsServe();
    const ports = JSON.parse(await side.#line()) as { udp: number; tcp: number };
    side.udpPort = ports.udp;
    side.tcpPort = ports.tcp;
    await side.setResolvers(...resolvers);
    return side;
  }

  async #line(): Promise<string> {
    const { done, value } = await this.#lines.next();
    if (done) throw new Error(`native_test has ended: ${this.#errors}`);
    return value;
  }

  async #call<T>(line: string): Promise<T> {
    this.#child.stdin?.write(`${line}\n`);
    return JSON.parse(await this.#line()) as T;
  }

  /** Each is an address and a port. */
  async setResolvers(...resolvers: string[]): Promise<void> {
    await this.#call(`resolvers ${resolvers.join(' ')}`);
  }

  state(): Promise<{ outstanding: number; streams: number; descriptors: number }> {
    return this.#call('state');
  }

  /** Sends a query over UDP; resolves to the answer with its id. */
  ask(query: Buffer): Promise<Buffer> {
    return new Promise((resolve) => {
      this.#waiting.set(query.readUInt16BE(), resolve);
      this.#udp.send(query, this.udpPort, '127.0.0.1');
    });
  }

  async connect(): Promise<Socket> {
    const socket = netConnect({ host: '127.0.0.1', port: this.tcpPort, allowHalfOpen: true });
    socket.on('error', () => {});
    await once(socket, 'connect');
    return socket;
  }

  /** Sends a query over a connection of its own. */
  async askTcp(query: Buffer): Promise<Buffer> {
    const socket = await this.connect();
    const reply = new Promise<Buffer>((resolve) => readStream(socket, resolve));
    socket.write(withLength(query));
    return reply.finally(() => socket.destroy());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#udp.close();
    const ended = once(this.#child, 'close');
    this.#child.stdin?.end();
    const [code] = await ended;
    assert.equal(code, 0, this.#errors);
  }
}

import { createSocket } from 'node:dgram';
import { connect, createServer } from 'node:net';
import {
  accepts,
  freePort,
  hostAddresses,
  type Outcome,
  type RunningStack,
  startStack,
  tcpRequest,
  udpAsk,
} from '../../../support/index.js';
import type { Capabilities } from './capabilities.js';

export interface Suite {
  /** Options of rootless-run that choose the network … */
  netArgs: readonly string[];
  /** … and the port driver. */
  portDriverArgs: readonly string[];
  capabilities: Capabilities;
  /** The address of the child's network device, where there is one. */
  childAddress?: string;
  /** How the stack is started, where startStack() is not enough. */
  start?: (options: { args: readonly string[] }) => Promise<RunningStack>;
}

/** Where servers listen that every driver is to reach. */
export function serverAddress({ capabilities: { loopbackServers } }: Suite): string {
  return loopbackServers ? '127.0.0.1' : '0.0.0.0';
}

export type Group = (suite: Suite) => void;

/** Servers by their port; each group starts those that it uses. */
export const NAME = 7001;
export const ECHO = 7002;

export function startFor(suite: Suite): Promise<RunningStack> {
  return (suite.start ?? startStack)({ args: [...suite.netArgs, ...suite.portDriverArgs] });
}

/** A stack for the tests of a group, with what `prepare` starts in it. */
export function withStack(
  suite: Suite,
  prepare: (stack: RunningStack) => Promise<AsyncDisposable[]>,
): () => RunningStack {
  let stack: RunningStack | undefined;
  let servers: AsyncDisposable[] = [];
  const get = () => {
    if (!stack) throw new Error('the stack has not been started');
    return stack;
  };
  before(async () => {
    stack = await startFor(suite);
    servers = await prepare(stack);
  });
  afterEach(async () => {
    for (const { id } of await get().published()) await get().api.removePort(id);
  });
  after(async () => {
    await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
    await stack?.[Symbol.asyncDispose]();
  });
  return get;
}

/** A server inside for one test, on a port of its own. */
let lastPort = 7100;
export const newPort = () => ++lastPort;

export const ask = async (host: string, port: number) => (await tcpRequest(host, port)).toString();
export const askUdp = async (host: string, port: number) => (await udpAsk(host, port, '?')).toString();

export const takesTcp = (host: string, port: number) => accepts(host, port);
/** On the same machine the kernel answers at once that nothing listens (ICMP). */
export const takesUdp = async (host: string, port: number) => {
  try {
    await udpAsk(host, port, '?');
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') return false;
    throw error;
  }
};

/** Addresses that every machine has, and those that the test command makes. */
export const host4 = hostAddresses.v4 ? [hostAddresses.v4] : [];
export const host6 = hostAddresses.v6 ? [hostAddresses.v6] : [];
export const all4 = ['127.0.0.1', '127.0.0.9', ...host4];
export const all6 = ['::1', ...host6];

export const bracket = (host: string) => (host.includes(':') ? `[${host}]` : host);

/** How a connection ends that is refused inside. */
export const RESET: Outcome = { data: Buffer.alloc(0), ended: false, error: 'ECONNRESET' };

/** Binds the port and releases it; rejects where it is in use. */
export async function listenOnce(host: string, port: number): Promise<void> {
  await using _server = await listenOn(host, port);
}

export async function listenOn(host: string, port: number): Promise<AsyncDisposable & { port: number }> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, resolve);
  });
  const address = server.address();
  return {
    port: address !== null && typeof address === 'object' ? address.port : 0,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** A port that we hold ourselves. */
export async function takePort(host: string, proto: 'tcp' | 'udp'): Promise<AsyncDisposable & { port: number }> {
  if (proto === 'tcp') return listenOn(host, 0);
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, host, resolve));
  return {
    port: socket.address().port,
    [Symbol.asyncDispose]: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

/** The first of so many ports in a row that are free. */
export async function freeRange(host: string, count: number): Promise<number> {
  for (;;) {
    const first = await freePort(host);
    const free = await Promise.all(
      Array.from({ length: count }, (_, i) =>
        listenOnce(host, first + i).then(
          () => true,
          () => false,
        ),
      ),
    );
    if (!free.includes(false)) return first;
  }
}

/** What the server sends first. */
export function firstBytes(host: string, port: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    socket.once('error', reject);
    socket.once('data', (data: Buffer) => {
      socket.destroy();
      resolve(data);
    });
  });
}

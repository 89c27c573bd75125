import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, createServer } from 'node:net';

/** Below those that the kernel takes for clients, one of which may come between the choice of a port and its use. */
const PORTS = [10_000, 32_000] as const;

/** A port that is unused on that address now, for neither protocol. Rejects where the address is not there. */
export async function freePort(host: string): Promise<number> {
  for (;;) {
    const port = randomInt(...PORTS);
    try {
      await canListen(host, port);
      await canBind(host, port);
      return port;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
  }
}

function canListen(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host, port }, () => server.close(() => resolve()));
  });
}

function canBind(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    socket.once('error', reject);
    socket.bind(port, host, () => socket.close(() => resolve()));
  });
}

export interface TcpRequestOptions {
  /** Milliseconds without any byte until it is given up; 10,000 by default. */
  timeout?: number;
  /** Local address to connect from. */
  localAddress?: string;
}

/**
 * Connects, sends `data`, closes its sending side and resolves to all that comes back until the other side
 * closes, too. Rejects on a reset, a refusal or silence.
 */
export function tcpRequest(
  host: string,
  port: number,
  data: string | Uint8Array = '',
  options: TcpRequestOptions = {},
): Promise<Buffer> {
  const { timeout = 10_000, localAddress } = options;
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true, ...(localAddress && { localAddress }) });
    const received: Buffer[] = [];
    socket.setTimeout(timeout, () => {
      socket.destroy(new Error(`no answer from ${host}:${port} within ${timeout} ms`));
    });
    socket.once('error', reject);
    socket.on('data', (chunk: Buffer) => received.push(chunk));
    socket.once('end', () => resolve(Buffer.concat(received)));
    socket.end(data);
  });
}

/** Sends a datagram and resolves to the first answer and the address that it came from. */
export function udpRequest(
  host: string,
  port: number,
  data: string | Uint8Array,
  timeout = 10_000,
): Promise<{ data: Buffer; address: string; port: number }> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    const timer = setTimeout(() => {
      socket.close();
      reject(new Error(`no answer from ${host}:${port}/udp within ${timeout} ms`));
    }, timeout);
    socket.once('error', (error) => {
      clearTimeout(timer);
      socket.close();
      reject(error);
    });
    socket.once('message', (answer, from) => {
      clearTimeout(timer);
      socket.close();
      resolve({ data: answer, address: from.address, port: from.port });
    });
    socket.send(data, port, host);
  });
}

/**
 * Addresses of the host that are not on loopback, for tests that need "another address of the host". The test
 * command makes them where it is root; elsewhere there are none.
 */
export const hostAddresses: { v4: string | undefined; v6: string | undefined } = {
  v4: process.env.ROOTLESS_NET_TEST_HOST4,
  v6: process.env.ROOTLESS_NET_TEST_HOST6,
};

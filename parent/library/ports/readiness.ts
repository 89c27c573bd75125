/** Waits until a server inside answers on a published port. */
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { StackClient } from '../../client/stack-client.js';
import { Events } from '../events.js';

/** What is tried. */
export interface ProbedPort {
  id: number;
  protocol: string;
  host: string;
  port: number;
  targetPort: number;
}

type ConnectionEvents = Events<'connection-opened' | 'connection-refused'>;

/** Between two looks, in ms. */
const FIRST_DELAY = 10;
const LONGEST_DELAY = 200;

/** Port drivers that report what becomes of connections. */
const REPORTING = ['builtin', 'bypass'];

/** Rejects with the signal's reason when it aborts, and with the client's errors. */
export async function whenReady(port: ProbedPort, client: StackClient, signal: AbortSignal | undefined): Promise<void> {
  const { portDriver, childPID } = await client.info();
  const udp = port.protocol.startsWith('udp');
  if (!udp && REPORTING.includes(portDriver?.driver ?? '')) return whenAccepted(port, client, signal);
  for (let wait = FIRST_DELAY; !(await isBound(childPID, udp ? 'udp' : 'tcp', port.targetPort)); wait = longer(wait)) {
    // Fails where the stack has ended.
    await Promise.all([delay(wait, undefined, { signal }), client.info()]);
  }
}

function longer(wait: number): number {
  return Math.min(2 * wait, LONGEST_DELAY);
}

/** The relay accepts before it knows whether there is a server; its events report the outcome of a connection. */
async function whenAccepted(port: ProbedPort, client: StackClient, signal: AbortSignal | undefined): Promise<void> {
  const type = ['connection-opened', 'connection-refused'] as const;
  await using events = new Events(client, { type, ...(signal && { signal }) });
  await events.started;
  for (let wait = FIRST_DELAY; !(await isAccepted(port, events)); wait = longer(wait)) {
    signal?.throwIfAborted();
    // Fails where the stack has ended: then there are no more events.
    await Promise.all([delay(wait, undefined, { signal }), client.info()]);
  }
}

/** Whether one connection is accepted inside. */
async function isAccepted(port: ProbedPort, events: ConnectionEvents): Promise<boolean> {
  const socket = connect(port.port, port.host);
  try {
    const local = await localPort(socket);
    while (local !== undefined) {
      const { done, value: event } = await events.next();
      if (done) return false;
      if (event.port === port.id && event.client.split(':').at(-1) === String(local)) {
        return event.type === 'connection-opened';
      }
    }
    return false;
  } finally {
    socket.destroy();
  }
}

/** Undefined where the connection was reset at once, since nothing listens inside, or was refused. */
function localPort(socket: ReturnType<typeof connect>): Promise<number | undefined> {
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(socket.localPort));
    socket.on('error', () => resolve(undefined));
  });
}

/** Whether a socket of that process's network namespace listens at the port (TCP), or is bound to it (UDP); see proc(5). */
async function isBound(pid: number, protocol: 'tcp' | 'udp', port: number): Promise<boolean> {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  const state = protocol === 'tcp' ? '0A' : '07';
  for (const family of ['', '6']) {
    const text = await readFile(`/proc/${pid}/net/${protocol}${family}`, 'utf8').catch(() => '');
    const lines = text.split('\n').map((line) => line.trim().split(/\s+/));
    if (lines.some(([, local, , found]) => local?.endsWith(`:${wanted}`) && found === state)) return true;
  }
  return false;
}

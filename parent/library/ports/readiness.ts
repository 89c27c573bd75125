/** Waits until a server inside answers on a published port. */
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { StackClient } from '../../client/stack-client.js';
import { isBound } from '../../flows/bound.js';
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
export async function whenReady(port: ProbedPort, client: StackClient, signal: AbortSignal): Promise<void> {
  const { portDriver, childPID } = await client.info();
  const transport = port.protocol.startsWith('udp') ? 'udp' : 'tcp';
  if (transport === 'tcp' && REPORTING.includes(portDriver?.driver ?? '')) return whenAccepted(port, client, signal);
  await poll(async () => isBound(childPID, transport, port.targetPort), client, signal);
}

/** Resolves when the check does with true. */
async function poll(check: () => Promise<boolean>, client: StackClient, signal: AbortSignal): Promise<void> {
  for (let wait = FIRST_DELAY; !(await check()); wait = Math.min(2 * wait, LONGEST_DELAY)) {
    // Fails where the stack has ended.
    await Promise.all([delay(wait, undefined, { signal }), client.info()]);
  }
}

/** The relay accepts before it knows whether there is a server; its events tell what came of a connection. */
async function whenAccepted(port: ProbedPort, client: StackClient, signal: AbortSignal): Promise<void> {
  await using events = new Events(client, { type: ['connection-opened', 'connection-refused'], signal });
  await events.started;
  await poll(() => isAccepted(port, events), client, signal);
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

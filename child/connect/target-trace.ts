/** Tries where the connections of a published port lead, one address after the other, for `rootlessctl trace`. */
import { native } from '../../native/index.js';
import { errnoName } from '../../protocol/errors/error-text.js';
import { canonical } from '../../protocol/net/ip.js';
import { type ConnectTarget, decodeTarget, type TargetTrace } from '../../protocol/wire/messages.js';
import { EVERY_ADDRESS, SocketDump } from '../listeners/socket-dump.js';
import type { Plan } from './dial-plans.js';

/** For each address, in ms. */
const PATIENCE_MS = 2000;
/** As many addresses as a plan and a report have at most. */
const MAX_ADDRESSES = 8;

export interface TargetTraceDeps {
  planOf: (target: ConnectTarget) => Promise<Plan>;
  /** Path of the network namespace of a container; undefined where it does not run. */
  netnsOf: (container: string) => Promise<string | undefined>;
}

/**
 * TCP servers see a connection that ends at once. UDP servers see nothing: of UDP it is only known whether a socket is there.
 * Throws ProtocolError.
 */
export async function traceTarget(request: Uint8Array, port: number, deps: TargetTraceDeps): Promise<TargetTrace> {
  const target = decodeTarget(request);
  const { ips, netns } = await deps.planOf(target);
  const own = target.container === '' ? netns : ((await deps.netnsOf(target.container)) ?? netns);
  const listening = listeners(target.proto, port, own);
  const tried: TargetTrace['tried'] = [];
  for (const ip of ips.slice(0, MAX_ADDRESSES)) {
    const error =
      target.proto === 'tcp' ? await connectError(ip, port, netns) : listens(listening, ip) ? '' : 'ECONNREFUSED';
    tried.push({ ip, error });
    if (error === '') break;
  }
  return { tried, listening: listening.slice(0, MAX_ADDRESSES), entersNetns: netns !== '' };
}

function listeners(transport: 'tcp' | 'udp', port: number, netns: string): string[] {
  try {
    using dump = new SocketDump(netns);
    const sockets = dump.read(new Set([transport]), port).filter((socket) => socket.port === port);
    return [...new Set(sockets.map(({ ip }) => canonical(ip)))];
  } catch {
    // The container has just ended, or a filter denies it: what was tried is known nevertheless.
    return [];
  }
}

/** Whether a UDP socket receives what is sent to that address; one on `::` has IPv4 as well, unless it declines. */
function listens(listening: readonly string[], ip: string): boolean {
  const every = ip.includes(':') ? ['::'] : EVERY_ADDRESS;
  return listening.some((address) => address === ip || every.includes(address));
}

/** "" where a server accepts. */
async function connectError(ip: string, port: number, netns: string): Promise<string> {
  try {
    await native().tryConnect(ip, port, netns, PATIENCE_MS);
    return '';
  } catch (error) {
    return errnoName(error);
  }
}

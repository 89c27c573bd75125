/**
 * The protocol of wireguard-go's socket (wireguard.com/xplatform): lines KEY=VALUE up to an empty one; a request begins with
 * get=1 or set=1, and a response ends with errno=N. Keys are in hexadecimal.
 */
import { connect, isIP } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { errorText } from '../../protocol/errors/error-text.js';
import { WireGuardError } from '../../protocol/wireguard/errors.js';
import { type Key, keyBytes } from '../../protocol/wireguard/keys.js';
import type { DeviceChange, Endpoint, PeerChange, PeerReport } from './implementation.js';

const TIMEOUT_MS = 5000;
/** Some hundred bytes for each peer. */
const MAX_RESPONSE = 4 << 20;

/** Sends a request on a connection of its own; resolves with the lines of the response. Throws WireGuardError. */
export async function exchange(socketPath: string, request: string): Promise<[key: string, value: string][]> {
  const text = await send(socketPath, request).catch((error: unknown) => {
    throw new WireGuardError(`wireguard-go does not answer on its socket: ${errorText(error)}`);
  });
  const lines = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line): [string, string] => {
      const at = line.indexOf('=');
      return [line.slice(0, at), line.slice(at + 1)];
    });
  const error = Number(lines.findLast(([key]) => key === 'errno')?.[1] ?? 'NaN');
  if (error === 0) return lines;
  const errno = errorName(error);
  throw new WireGuardError(`wireguard-go refused a request: ${errno}`, { errno });
}

async function send(socketPath: string, request: string): Promise<string> {
  const socket = connect(socketPath);
  try {
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error(`no response within ${TIMEOUT_MS / 1000} s`)));
    socket.setEncoding('latin1');
    socket.write(`${request}\n`);
    let text = '';
    for await (const chunk of socket) {
      text += String(chunk);
      // It waits for the next request.
      if (/(^|\n)errno=-?\d+\n\n$/.test(text.slice(-32))) return text;
      if (text.length > MAX_RESPONSE) throw new Error('the response is too long');
    }
    throw new Error('the response has no end');
  } finally {
    socket.destroy();
  }
}

/** It has the kernel's numbers, with their sign, and some of its own. */
function errorName(error: number): string {
  try {
    return getSystemErrorName(-Math.abs(error));
  } catch {
    return `error ${error}`;
  }
}

/** The request that makes a change. Throws WireGuardError for a key that is none. */
export function setRequest({ privateKey, listenPort, peers = [] }: DeviceChange): string {
  const lines = ['set=1'];
  if (privateKey !== undefined) lines.push(`private_key=${hex(privateKey)}`);
  if (listenPort !== undefined) lines.push(`listen_port=${listenPort}`);
  for (const peer of peers) lines.push(...peerLines(peer));
  return `${lines.join('\n')}\n`;
}

function peerLines({ publicKey, remove, presharedKey, endpoint, keepalive, allowedIps }: PeerChange): string[] {
  const lines = [`public_key=${hex(publicKey)}`];
  if (remove) return [...lines, 'remove=true'];
  if (presharedKey !== undefined) lines.push(`preshared_key=${hex(presharedKey)}`);
  if (endpoint !== undefined) lines.push(`endpoint=${formatEndpoint(endpoint)}`);
  if (keepalive !== undefined) lines.push(`persistent_keepalive_interval=${keepalive}`);
  if (allowedIps !== undefined) {
    lines.push('replace_allowed_ips=true', ...allowedIps.map((subnet) => `allowed_ip=${subnet}`));
  }
  return lines;
}

export function formatEndpoint({ ip, port }: Endpoint): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** Undefined for a text that is none. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const [, ip6, ip4, port] = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+)):(\d{1,5})$/i.exec(text) ?? [];
  const ip = ip6 ?? ip4 ?? '';
  return isIP(ip) === 0 ? undefined : { ip, port: Number(port) };
}

/** The peers in a response to get=1. */
export function peersIn(lines: readonly (readonly [string, string])[]): PeerReport[] {
  const peers: PeerReport[] = [];
  for (const [key, value] of lines) {
    if (key === 'public_key') {
      const publicKey = Buffer.from(value, 'hex').toString('base64');
      const none = { endpoint: '', lastHandshake: 0, bytesReceived: 0, bytesSent: 0 };
      peers.push({ publicKey, ...none, allowedIps: [] });
      continue;
    }
    const peer = peers.at(-1);
    if (peer !== undefined) readPeerLine(peer, key, value);
  }
  return peers;
}

function readPeerLine(peer: PeerReport, key: string, value: string): void {
  switch (key) {
    case 'endpoint':
      peer.endpoint = value;
      break;
    case 'allowed_ip':
      peer.allowedIps.push(value);
      break;
    case 'last_handshake_time_sec':
      peer.lastHandshake += 1000 * Number(value);
      break;
    case 'last_handshake_time_nsec':
      peer.lastHandshake += Math.floor(Number(value) / 1e6);
      break;
    case 'rx_bytes':
      peer.bytesReceived = Number(value);
      break;
    case 'tx_bytes':
      peer.bytesSent = Number(value);
  }
}

function hex(key: Key): string {
  return keyBytes(key).toString('hex');
}

/**
 * What the parent and the agent say to each other.
 *
 * Theory of operation. The parent makes a SOCK_SEQPACKET socketpair and gives the agent one end. A packet is one
 * message in msgpack; descriptors ride on the packet that they belong to. Both sides begin with `hello`; a side that
 * reads another protocol version in it ends the connection. Then:
 *
 *   arrays  the data plane, one connection each; the engine reads and writes them without JavaScript (native/src/wire.h)
 *             [1, id, target, attempt, sourceIP, sourcePort]   connect, parent to agent;
 *                                                              several may share a packet
 *             [2, id] with one socket                          connected, agent to parent
 *             [2, id, errno, message]                          failed, agent to parent
 *             [3, id]                                          pending: connecting takes its time
 *           `target` is [proto, ip, port, parentIP, hostGatewayIP]; the dial rule (child/dial-rule.ts) says where it
 *           leads, and is asked once for each target.
 *   maps    everything else, below
 *
 * A packet that cannot be understood ends the connection between the two, with a line that says so; the parent then
 * starts another agent. Connections that are relayed already do not notice.
 */
import { Packr } from 'msgpackr';

export const PROTOCOL_VERSION = 1;

/** Plain msgpack: maps as maps, and not as the extension that msgpackr makes of them by default. */
const packr = new Packr({ useRecords: false, variableMapSize: true });

/** Where a port's connections are to go, as far as the parent knows. Addresses are "" where there is none. */
export interface ConnectTarget {
  proto: 'tcp' | 'udp';
  /** The child's address that was asked for (ChildIP). */
  ip: string;
  port: number;
  /** The host's address that the port is published on. */
  parentIP: string;
  /** First address of the host that is not loopback: where traffic to the host as a gateway would arrive. */
  hostGatewayIP: string;
}

export type Message =
  | { type: 'hello'; version: number; pid: number }
  | { type: 'log'; level: 'warn' | 'debug'; text: string };

/** A packet that is not one of ours: torn, or from another version. */
export class ProtocolError extends Error {
  override name = 'ProtocolError';
}

export function encodeTarget(target: ConnectTarget): Buffer {
  return packr.pack([target.proto, target.ip, target.port, target.parentIP, target.hostGatewayIP]);
}

/** Throws ProtocolError. */
export function decodeTarget(data: Uint8Array): ConnectTarget {
  const value = decode(data);
  if (Array.isArray(value) && value.length === 5) {
    const [proto, ip, port, parentIP, hostGatewayIP]: unknown[] = value;
    if (
      (proto === 'tcp' || proto === 'udp') &&
      typeof ip === 'string' &&
      typeof port === 'number' &&
      typeof parentIP === 'string' &&
      typeof hostGatewayIP === 'string'
    ) {
      return { proto, ip, port, parentIP, hostGatewayIP };
    }
  }
  throw new ProtocolError('a connect target of another form came');
}

export function encodeMessage(message: Message): Buffer {
  return packr.pack(message);
}

/** Throws ProtocolError. */
export function decodeMessage(data: Uint8Array): Message {
  const value = decode(data);
  if (typeof value === 'object' && value !== null && 'type' in value) {
    const message = value as Record<string, unknown>;
    if (message.type === 'hello' && typeof message.version === 'number' && typeof message.pid === 'number') {
      return { type: 'hello', version: message.version, pid: message.pid };
    }
    if (message.type === 'log' && typeof message.text === 'string') {
      return { type: 'log', level: message.level === 'debug' ? 'debug' : 'warn', text: message.text };
    }
    throw new ProtocolError(`a message of unknown type ${JSON.stringify(message.type)} came`);
  }
  throw new ProtocolError('a message came that is not a msgpack map');
}

function decode(data: Uint8Array): unknown {
  try {
    return packr.unpack(data);
  } catch {
    throw new ProtocolError(`a torn message of ${data.length} bytes came`);
  }
}

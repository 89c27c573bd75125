import type { Key } from '../../protocol/wireguard/keys.js';

/** Where packets for a peer are sent. */
export interface Endpoint {
  ip: string;
  port: number;
}

/** What is to be changed of a peer; it is added where the device does not have it. What is absent stays as it is. */
export interface PeerChange {
  publicKey: Key;
  /** It is taken away, and nothing else is read. */
  remove?: true;
  presharedKey?: Key;
  endpoint?: Endpoint;
  /** Seconds between packets that keep the way open; 0 for none. */
  keepalive?: number;
  /** All subnets, in CIDR notation, that its packets may come from and are sent to; another peer loses those that it has. */
  allowedIps?: readonly string[];
}

export interface DeviceChange {
  privateKey?: Key;
  listenPort?: number;
  peers?: readonly PeerChange[];
}

/** A peer as the device reports it. */
export interface PeerReport {
  publicKey: Key;
  /** `address:port`, the last one that a packet of the peer came from; "" while it is unknown. */
  endpoint: string;
  /** In CIDR notation. */
  allowedIps: string[];
  /** When the last handshake was, in ms since the epoch; 0 for never. */
  lastHandshake: number;
  bytesReceived: number;
  bytesSent: number;
}

/** A WireGuard device that exists. */
export interface Implementation {
  readonly kind: 'kernel' | 'wireguard-go';
  /** Throws WireGuardError or NetlinkError; what came before the failure is done. */
  set(change: DeviceChange): Promise<void>;
  peers(): Promise<PeerReport[]>;
  /** Called once where the device has gone by itself. */
  onLost: (reason: string) => void;
  /** Removes the device. */
  close(): Promise<void>;
}

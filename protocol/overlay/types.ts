/** Overlay networks: what a member announces, and what the parent gives the agent. See docs/overlay.md. */

/** UDP port at which the agents of a network's hosts exchange names and measure latency, on their gateways' addresses. */
export const EXCHANGE_PORT = 51_899;

/** A host of an overlay network: one stack of one user. */
export interface OverlayMember {
  /** Identity: a UUID made at the join. Addresses and keys may change. */
  host: string;
  /** Name of the machine, for people. */
  name: string;
  /** Of WireGuard, in base64. */
  publicKey: string;
  /** The key that it is about to change to. */
  nextKey?: string | undefined;
  /** Where its WireGuard port is reached. */
  address: string;
  port: number;
  /** Its share of the network, in CIDR notation: one of each family. */
  subnets: string[];
}

/** A name of containers on one host. */
export interface OverlayName {
  name: string;
  /** All of the subnets of that host. */
  addresses: string[];
}

/** The names of a member's containers. */
export interface OverlayNames {
  host: string;
  names: OverlayName[];
}

/** All that the agent needs for one network; sent again, whole, at each change. */
export interface OverlayState {
  network: string;
  /** The addresses of all members together, in CIDR notation: one of each family. */
  networks: string[];
  /** Whether its containers have no way out but to each other. */
  internal: boolean;
  /** Identity of this host, and its subnets. */
  host: string;
  hostName: string;
  subnets: string[];
  /** Of WireGuard, in base64. */
  privateKey: string;
  presharedKey?: string | undefined;
  /** Where WireGuard listens inside. */
  port: number;
  /** Of the tunnel, the bridge and containers, in bytes (protocol/wireguard/mtu.ts). */
  mtu: number;
  peers: OverlayMember[];
  /** Names of the containers of other members. */
  names: OverlayNames[];
  /** Whether members exchange the names of their containers, since no registry has them. */
  exchangeNames: boolean;
  /** Why no container can be attached now; absent where nothing prevents it. */
  problem?: string | undefined;
}

/** A network that the agent cannot set up. */
export interface OverlayFailure {
  network: string;
  problem: string;
}

/** What the agent knows of a peer. */
export interface OverlayPeerStatus {
  host: string;
  /** In seconds; absent before the first handshake. */
  handshakeAge?: number | undefined;
  bytesSent: number;
  bytesReceived: number;
  /** Round trip in ms between the two agents; absent until one was measured. */
  latency?: number | undefined;
  /** Of this package, as the peer reports it. */
  version?: string | undefined;
}

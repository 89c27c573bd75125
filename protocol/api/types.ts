import type { PortCounters, PortSource, PortSpec, PortState, PortStatus } from './ports.js';

/** Version of the REST API that is served: RootlessKit's, with additions beside it. */
export const API_VERSION = '1.1.2';

export interface NetworkDriverInfo {
  driver: string;
  dns: string[];
  childIP?: string;
  dynamicChildIP?: boolean;
  ipv6?: boolean;
  /** Ours, beside RootlessKit's: the child's device, where there is one; its prefix length, default gateway and MTU in bytes. */
  device?: string;
  prefix?: number;
  gateway?: string;
  mtu?: number;
}

export interface PortDriverInfo {
  driver: string;
  protos: string[];
  disallowLoopbackChildIP?: boolean;
}

/** Answer of `GET /v1/info`. `networkDriver` is absent for the host's network, `portDriver` where there is none. */
export interface Info {
  apiVersion: string;
  version: string;
  stateDir: string;
  childPID: number;
  networkDriver?: NetworkDriverInfo;
  portDriver?: PortDriverInfo;
}

/** An entry of `GET /v1/ports?counters=true`: RootlessKit's fields, with ours beside them. */
export interface PortReport extends PortStatus {
  listener?: PortState;
  counters?: PortCounters;
  /** Absent until such a client has come. */
  source?: PortSource;
  /** With the port driver `bypass`: whether a server inside has the host's socket itself now, so that nothing is relayed. */
  bypass?: boolean;
  /** Why it has not, where one asked. */
  bypassReason?: string;
  /** Whether it is published again when the stack is started the next time. */
  persistent?: boolean;
}

/** A message of `GET /v1/events`, one JSON object a WebSocket text frame. `time` is in ms since the epoch. */
export type StackEvent = { time: number } & (
  | { type: 'port-added'; id: number; spec: PortSpec }
  | { type: 'port-removed'; id: number; spec: PortSpec }
  | { type: 'port-state'; id: number; listener: PortState }
  | { type: 'connection-opened'; port: number; connection: number; client: string }
  | { type: 'connection-refused'; port: number; connection: number; client: string; reason: string }
  | { type: 'connection-closed'; port: number; connection: number; bytesIn: number; bytesOut: number }
  | { type: 'driver-state'; driver: string; state: 'ready' | 'lost' | 'stopped'; reason?: string }
);

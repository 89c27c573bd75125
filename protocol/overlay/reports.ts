/** What the API reports of overlay networks. */
import { hasFields, isFlag, isListOf, isNumber, isText, isTexts, optional } from '../api/report-shapes.js';
import type { OverlayMember, OverlayPeerStatus } from './types.js';

/** `waiting`: the registry is not reached. `lost`, `expelled` and `duplicate` need the user. */
export type OverlayCondition = 'ready' | 'waiting' | 'lost' | 'expelled' | 'duplicate' | 'failed';

/** A member in a report; absent fields are not known. */
export type OverlayMemberReport = Omit<OverlayMember, 'nextKey'> &
  Partial<Omit<OverlayPeerStatus, 'host'>> & {
    self: boolean;
    /** Whether the registry knows it as alive; absent where nobody watches that. */
    alive?: boolean | undefined;
  };

/** `GET /v1/overlays/NAME`; an entry of `GET /v1/overlays`, where `members` have no counters. */
export interface OverlayReport {
  name: string;
  mode: 'static' | 'etcd';
  networks: string[];
  internal: boolean;
  condition: OverlayCondition;
  /** Why the condition is not `ready`. */
  reason?: string | undefined;
  /** Where the registry is. */
  endpoints?: string[] | undefined;
  prefix?: string | undefined;
  members: OverlayMemberReport[];
}

/** Answer to requests that make or join a network. */
export interface OverlayJoined {
  name: string;
  subnets: string[];
  /** For the other hosts; of a static network, for those that do not know this member. */
  token: string;
}

/** The body of `POST /v1/overlays`; `token` joins a network, and `name` makes one. Fields that are absent have defaults. */
export interface OverlayRequest {
  name?: string | undefined;
  token?: string | undefined;
  static?: boolean | undefined;
  /** IPv4, IPv6. */
  networks?: string[] | undefined;
  internal?: boolean | undefined;
  /** Where other hosts reach this one. */
  address?: string | undefined;
  port?: number | undefined;
  hostName?: string | undefined;
  etcd?: OverlayEtcdRequest | undefined;
}

/** How etcd is reached; files are absolute paths. */
export interface OverlayEtcdRequest {
  endpoints?: string[] | undefined;
  prefix?: string | undefined;
  ca?: string | undefined;
  cert?: string | undefined;
  key?: string | undefined;
  user?: string | undefined;
  passwordFile?: string | undefined;
}

/** As formatToken() makes them: commands print it as it is. */
export const isToken = (value: unknown): value is string => isText(value) && /^rno1\.[\w-]+$/.test(value);

const isMemberReport = hasFields<OverlayMemberReport>({
  ...{ host: isText, name: isText, address: isText, port: isNumber, subnets: isTexts, self: isFlag },
  alive: optional(isFlag),
  version: optional(isText),
  ...Object.fromEntries(
    ['handshakeAge', 'bytesSent', 'bytesReceived', 'latency'].map((name) => [name, optional(isNumber)]),
  ),
});

export const isOverlayReport = hasFields<OverlayReport>({
  ...{ name: isText, mode: isText, condition: isText, networks: isTexts, members: isListOf(isMemberReport) },
  ...{ reason: optional(isText), prefix: optional(isText) },
});

export const isOverlayJoined = hasFields<OverlayJoined>({ name: isText, token: isToken, subnets: isTexts });

/** What the API reports of overlay networks. */
import { isFields, isListOf } from '../api/report-shapes.js';
import type { OverlayMember, OverlayPeerStatus } from './types.js';

/** `waiting`: the registry is not reached. `lost`, `expelled` and `duplicate` need the user. */
export type OverlayCondition = 'ready' | 'waiting' | 'lost' | 'expelled' | 'duplicate' | 'failed';

/** A member in a report; absent fields are not known. */
export type OverlayMemberReport = Omit<OverlayMember, 'publicKey' | 'nextKey'> &
  Partial<Omit<OverlayPeerStatus, 'host'>> & {
    publicKey: string;
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

const isText = (value: unknown) => typeof value === 'string';
/** As formatToken() makes them: commands print it as it is. */
export const isToken = (value: unknown): value is string => typeof value === 'string' && /^rno1\.[\w-]+$/.test(value);
const isTexts = isListOf((value): value is string => isText(value));

function isMemberReport(value: unknown): value is OverlayMemberReport {
  return isFields(value) && isText(value.host) && isText(value.name) && isText(value.address) && isTexts(value.subnets);
}

export function isOverlayReport(value: unknown): value is OverlayReport {
  return (
    isFields(value) &&
    isText(value.name) &&
    isText(value.mode) &&
    isText(value.condition) &&
    isTexts(value.networks) &&
    isListOf(isMemberReport)(value.members)
  );
}

export function isOverlayJoined(value: unknown): value is OverlayJoined {
  return isFields(value) && isText(value.name) && isToken(value.token) && isTexts(value.subnets);
}

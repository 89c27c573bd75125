/** How an overlay network learns of its members: by tokens (static-membership.ts), or from etcd (registry/membership.ts). */
import type { OverlayCondition } from '../../protocol/overlay/reports.js';
import type { OverlayMember, OverlayName, OverlayNames } from '../../protocol/overlay/types.js';

/** What this host announces; its subnets are the membership's to choose. */
export type Announcement = Omit<OverlayMember, 'subnets'>;

export interface Membership {
  readonly condition: OverlayCondition;
  /** Why the condition is not `ready`. */
  readonly reason: string | undefined;
  /** Of this host; undefined before the first lease. */
  readonly subnets: readonly string[] | undefined;
  /** The other members. */
  readonly peers: readonly OverlayMember[];
  /** Names of their containers. */
  readonly names: readonly OverlayNames[];
  /** Undefined where nobody watches that. */
  isAlive(host: string): boolean | undefined;
  /** Announces this host, now and from now on; resolves when the others can know. Throws OverlayError, EtcdError … */
  announce(self: Announcement): Promise<void>;
  /** All names of containers here. */
  setNames(names: readonly OverlayName[]): void;
  /** Removes another member, which cannot come back with its key. Throws OverlayError. */
  expel(member: OverlayMember): Promise<void>;
  /** Throws where the registry does not answer: then the network cannot be left. */
  requireReachable(): Promise<void>;
  /** Gives the subnets back. */
  leave(): Promise<void>;
  /** This process ends, or the network is left: the subnets stay, liveness and names go. */
  close(): Promise<void>;
}

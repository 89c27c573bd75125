/**
 * Where the DNS servers of container networks get names from. Containers are one source, members of an overlay on other hosts
 * another. A name may have several holders, in one source or in several: an answer has the addresses of all.
 */
import type { ZoneEntry } from '../../protocol/dns/zone-text.js';

/**
 * Something with names on one network, as clients ask for them, without the network: `redis` is also found as `redis.NETWORK`,
 * `redis.rootless.internal` and `redis.NETWORK.rootless.internal`. The case of letters does not matter. The first one is the
 * answer when its addresses are asked for (PTR).
 */
export interface NameEntry extends ZoneEntry {
  /** What has them, for reports: `container web`. */
  holder: string;
  /** Id of the container; absent for those of other hosts. */
  container?: string;
}

export interface NameSource {
  /** For reports: `containers`, `overlay`. */
  readonly kind: string;
  /** What it has on that network now. */
  entriesOf(network: string): readonly NameEntry[];
}

/** Names changed; the servers have the new ones soon after. */
export type NamesChanged = (network: string) => void;

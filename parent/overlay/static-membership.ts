/**
 * Members that know each other by tokens only: a file has them, nobody watches them, and nothing expires. A token holds all
 * members that its maker knows, so that merging tokens in any order leads to the same list.
 */

import { isShare, shareRules } from '../../protocol/overlay/subnets.js';
import type { StaticToken } from '../../protocol/overlay/token.js';
import type { OverlayMember, OverlayNames } from '../../protocol/overlay/types.js';
import { OverlayError } from './errors.js';
import type { Announcement, Membership } from './membership.js';
import { overlap, parsedSubnets } from './registry/picture.js';
import type { OverlayStore } from './store.js';

export interface StaticMembershipDeps {
  /** All addresses of the network. */
  networks: readonly string[];
  /** Of this host. */
  subnets: readonly string[];
  /** Called when the members have changed. */
  changed: () => void;
}

export class StaticMembership implements Membership {
  readonly condition = 'ready';
  readonly reason = undefined;
  readonly names: readonly OverlayNames[] = [];
  #peers: OverlayMember[];

  constructor(
    private readonly store: OverlayStore,
    private readonly deps: StaticMembershipDeps,
  ) {
    this.#peers = store.peers().members;
  }

  get subnets(): readonly string[] {
    return this.deps.subnets;
  }

  get peers(): readonly OverlayMember[] {
    return this.#peers;
  }

  isAlive(): undefined {
    return undefined;
  }

  /** The others learn of it by the next token. */
  async announce(_: Announcement): Promise<void> {}

  /** Members exchange them. */
  setNames(): void {}

  /** Adds the members of a token, and updates those that are known. Throws OverlayError; nothing is changed then. */
  merge(token: StaticToken, self: string): void {
    const merged = mergeMembers(
      this.#peers,
      token.members.filter(({ host }) => host !== self),
      this.deps.networks,
    );
    const clash = merged.find(({ subnets }) => overlap(subnets, this.subnets));
    if (clash) throw overlapping(clash, this.subnets);
    this.#peers = merged;
    this.#save();
  }

  async expel({ host }: OverlayMember): Promise<void> {
    this.#peers = this.#peers.filter((peer) => peer.host !== host);
    this.#save();
  }

  async requireReachable(): Promise<void> {}

  async leave(): Promise<void> {}

  async close(): Promise<void> {}

  #save(): void {
    this.store.writePeers({ members: this.#peers, names: [] });
    this.deps.changed();
  }
}

/**
 * Throws OverlayError where two members have the same subnet, or key, or one has addresses that are not a share of the
 * network: routes to these would lead to it.
 */
export function mergeMembers(
  known: readonly OverlayMember[],
  added: readonly OverlayMember[],
  networks: readonly string[],
): OverlayMember[] {
  const rules = shareRules(networks);
  const wrong = added.find(({ subnets }) => !rules || !isShare(rules, parsedSubnets(subnets)));
  if (wrong) {
    throw new OverlayError(
      `the token is invalid: ${wrong.subnets.join(', ')} of ${wrong.name} is not a share of ${networks.join(', ')}`,
    );
  }
  const merged = new Map(known.map((member) => [member.host, member]));
  // Keys of static networks are not replaced.
  for (const { nextKey: _, ...member } of added) merged.set(member.host, member);
  const all = [...merged.values()];
  for (const [index, member] of all.entries()) {
    const clash = all.slice(index + 1).find((other) => overlap(other.subnets, member.subnets));
    if (clash) throw overlapping(clash, member.subnets, member.name);
    if (all.some((other) => other !== member && other.publicKey === member.publicKey)) {
      throw new OverlayError(`two members have the key ${member.publicKey}`, {
        hint: 'one of them is a copy of the other; remove its directory of the network, and join again there',
      });
    }
  }
  return all;
}

function overlapping(one: OverlayMember, subnets: readonly string[], other = 'this host'): OverlayError {
  return new OverlayError(`${one.name} and ${other} have the same subnet ${subnets.join(', ')}`, {
    hint: 'they joined with tokens made independently of each other; leave on one of them, and join again with the other’s token',
  });
}

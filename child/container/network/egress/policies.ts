/**
 * Which container has which egress policies: its own, and those of its networks; and which rate limit.
 *
 * Theory of operation. A container's policies are in effect before its interface exists, and until it is gone:
 *
 *   begin()   before it is attached: its policies go to the parent, and what cannot be enforced is refused
 *   admit()   an interface's addresses are known, and the interface is still to be made: the packet filter lets only these
 *             pass, and the parent decides what they reach
 *   end()     its interfaces are gone
 *
 * Where the agent dies, the parent and the kernel keep what they have. The next agent reads it all again (recover()), and each
 * change replaces the former state at once, so that nothing is open in between.
 */
import type { EgressReport } from '../../../../protocol/api/egress.js';
import type { LimitReport } from '../../../../protocol/api/limit.js';
import { shortId } from '../../../../protocol/containers/short-id.js';
import { policyOfContainer, policyOfNetwork } from '../../../../protocol/egress/container-policy.js';
import { parseRuleLine } from '../../../../protocol/egress/grammar.js';
import type { EgressRule } from '../../../../protocol/egress/rule.js';
import { errorText } from '../../../../protocol/errors/error-text.js';
import { ConflictError } from '../../errors.js';
import type { ParentLink } from '../../parent-link.js';
import { KeyedLock } from '../../storage/lock.js';
import type { Network } from '../network.js';
import { type PolicedContainer, type PolicedInterface, PolicyFilter } from './filter.js';
import type { PeerName } from './peer-rules.js';

export interface EgressPoliciesDeps {
  parent: ParentLink;
  /** Device behind which the parent decides; see HostInfo. "" where it does not. */
  direct: () => string;
  /** Other containers on a container's networks. */
  peersOf: (id: string) => readonly PeerName[];
  warn: (line: string) => void;
}

/** A container that is about to be attached, or is. */
export interface PolicyRequest {
  id: string;
  name: string;
  /** Its own rules, lines of an egress file. */
  egress: readonly string[];
  /** Its rate limit, as --limit takes it; "" for none. */
  limit: string;
  networks: readonly Network[];
}

/** A container without its networks. */
export interface PolicyOwner {
  id: string;
  name: string;
  egress?: readonly string[] | undefined;
  limit?: string | undefined;
}

interface Policed extends Pick<PolicedContainer, 'own' | 'networks'> {
  request: PolicyRequest;
  interfaces: Map<string, PolicedInterface>;
}

export class EgressPolicies {
  readonly #policed = new Map<string, Policed>();
  /** Containers that are cut off, since their policies are not in effect. */
  readonly #cutOff = new Set<string>();
  /** What the parent has been sent: rules by key. */
  readonly #sent = new Map<string, string>();
  readonly #locks = new KeyedLock();
  readonly #filter: PolicyFilter;

  constructor(private readonly deps: EgressPoliciesDeps) {
    this.#filter = new PolicyFilter(deps.direct);
  }

  /** Throws ContainerError where the container has policies that cannot be enforced. */
  async begin(request: PolicyRequest): Promise<void> {
    const known = this.#policed.get(request.id);
    if (!isPoliced(request)) {
      if (known) await this.end(request.id);
      return;
    }
    await this.#set(request, known?.interfaces ?? new Map(), { apply: known !== undefined });
  }

  /** Throws ConflictError where the container has policies that cannot be enforced here. */
  check(request: PolicyRequest): void {
    if (!isPoliced(request)) return;
    const { name } = request;
    const what = request.limit === '' ? 'an egress policy' : 'a rate limit';
    if (this.deps.direct() === '') {
      throw new ConflictError(
        `${name} cannot be run with ${what}: this stack's network cannot enforce it; hint: start the stack with --net=builtin`,
      );
    }
    const other = request.networks.find(({ bridge }) => bridge === undefined);
    if (other) {
      throw new ConflictError(
        `${name} cannot be run with ${what} on the network ${other.name}, whose driver ${other.driver} cannot enforce it; hint: use a bridge network`,
      );
    }
  }

  /** An interface that is about to be made. Nothing where the container has no policy. Throws ContainerError. */
  async admit(id: string, one: PolicedInterface): Promise<void> {
    const policed = this.#policed.get(id);
    if (!policed) return;
    await this.#locks.run(id, async () => {
      policed.interfaces.set(one.ifname, one);
      await this.#apply(id);
    });
  }

  /** An interface is gone, and the container is on these networks now. Throws ContainerError. */
  async withdraw(id: string, ifname: string, networks: readonly Network[]): Promise<void> {
    const policed = this.#policed.get(id);
    if (!policed) return;
    policed.interfaces.delete(ifname);
    await this.begin({ ...policed.request, networks });
  }

  /** The interfaces of a container are gone. What fails is warned of. */
  async end(id: string): Promise<void> {
    if (!this.#cutOff.delete(id) && !this.#policed.has(id)) return;
    await this.#locks.run(id, async () => {
      this.#policed.delete(id);
      try {
        await this.deps.parent.request('egress-remove', { owner: id });
        await this.#send(policyOfContainer(id), []);
        await this.#refreshFilter();
      } catch (error) {
        this.deps.warn(`egress policies of ${shortId(id)} remain: ${errorText(error)}`);
      }
    });
  }

  /** A running container with its interfaces, as it is to be from now on. Throws ContainerError. */
  async restore(request: PolicyRequest, interfaces: readonly PolicedInterface[]): Promise<void> {
    if (!isPoliced(request)) return this.end(request.id);
    await this.#set(request, new Map(interfaces.map((one) => [one.ifname, one])), { apply: true });
  }

  /** To be called for a container that is cut off because restore() has failed. */
  cutOff(id: string): void {
    this.#cutOff.add(id);
  }

  /** Whether it is to stay cut off. */
  isCutOff(id: string): boolean {
    return this.#cutOff.has(id);
  }

  /** The containers whose policies the parent has. Throws ContainerError. */
  async idsOfParent(): Promise<readonly string[]> {
    return this.deps.direct() === '' ? [] : (await this.deps.parent.request('egress-ids', {})).ids;
  }

  /** All that run are restored: what the parent has of others, left by an earlier agent, goes. Throws ContainerError. */
  async removeOthers(ids: readonly string[]): Promise<void> {
    const others = ids.filter((id) => !this.#policed.has(id) && !this.#cutOff.has(id));
    for (const owner of others) await this.deps.parent.request('egress-remove', { owner });
    if (others.length > 0) await this.repair();
  }

  /** Names and addresses of containers have changed. What fails is warned of. */
  async refresh(): Promise<void> {
    if (this.#policed.size === 0) return;
    try {
      await this.#refreshFilter();
    } catch (error) {
      this.deps.warn(`egress policies do not follow changed peers: ${errorText(error)}`);
    }
  }

  /** Other rules of a network. Throws ContainerError. */
  async setNetwork(name: string, rules: readonly string[]): Promise<void> {
    if (this.deps.direct() !== '') await this.#send(policyOfNetwork(name), rules);
  }

  /** It has been removed. */
  async forgetNetwork({ name, egress }: Network): Promise<void> {
    if (egress.length > 0 && this.deps.direct() !== '') await this.#send(policyOfNetwork(name), []);
  }

  /** A policy with its counters; the counters are 0 where the container does not run. */
  async report(id: string, key: string): Promise<EgressReport | undefined> {
    if (!this.#policed.has(id)) return undefined;
    return (await this.deps.parent.request('egress-report', { id, key })).report;
  }

  /** Datagrams that its rate limit has cost; undefined where the container does not run, or has none. Throws ContainerError. */
  async dropped(id: string): Promise<LimitReport['dropped'] | undefined> {
    if (!this.#policed.has(id)) return undefined;
    return (await this.deps.parent.request('egress-dropped', { owner: id })).dropped;
  }

  /** Whether another program has removed the packet filter's tables. */
  isDamaged(): Promise<boolean> {
    return this.#filter.isDamaged();
  }

  /** Throws ContainerError. */
  repair(): Promise<void> {
    return this.#filter.restore(this.#containers());
  }

  /** @param apply whether there are interfaces, or were */
  async #set(request: PolicyRequest, interfaces: Policed['interfaces'], { apply }: { apply: boolean }): Promise<void> {
    this.check(request);
    const { id, egress, networks } = request;
    await this.#locks.run(id, async () => {
      // Rules that are invalid are refused here, before anything else depends on them.
      for (const [key, rules] of policiesOf(request)) await this.#send(key, rules);
      const ofNetworks = networks.filter((network) => network.egress.length > 0);
      const rules = { own: rulesOf(egress), networks: ofNetworks.map((network) => rulesOf(network.egress)) };
      this.#policed.set(id, { request, ...rules, interfaces });
      if (apply) await this.#apply(id);
      this.#cutOff.delete(id);
    });
  }

  /** The filter first: what is sent meanwhile is decided by the former policies, and not by none. */
  async #apply(id: string): Promise<void> {
    const policed = this.#policed.get(id);
    if (!policed) return;
    const { request, interfaces } = policed;
    await Promise.all([
      this.#refreshFilter(),
      this.deps.parent.request('egress-set', {
        id,
        name: request.name,
        addresses: [...interfaces.values()].flatMap(({ addresses }) => addresses),
        policies: policiesOf(request).map(([key]) => key),
        ...(request.limit !== '' && { limit: request.limit }),
      }),
    ]);
  }

  async #send(key: string, rules: readonly string[]): Promise<void> {
    const text = rules.join('\n');
    if (this.#sent.get(key) === text) return;
    await this.deps.parent.request('egress-policy', { key, rules: [...rules] });
    if (rules.length > 0) this.#sent.set(key, text);
    else this.#sent.delete(key);
  }

  #refreshFilter(): Promise<void> {
    return this.#filter.apply(this.#containers());
  }

  #containers(): PolicedContainer[] {
    return [...this.#policed.values()]
      .filter(({ interfaces }) => interfaces.size > 0)
      .map(({ request, own, networks, interfaces }) => ({
        id: request.id,
        own,
        networks,
        interfaces: [...interfaces.values()],
        peers: this.deps.peersOf(request.id),
      }));
  }
}

/** Of a container that is attached like that. */
export function policyRequestOf(
  { id, name, egress = [], limit = '' }: PolicyOwner,
  attachments: readonly { network: Network }[],
): PolicyRequest {
  return { id, name, egress, limit, networks: attachments.map(({ network }) => network) };
}

/** Whether the parent has to know who it is. */
function isPoliced({ egress, limit, networks }: PolicyRequest): boolean {
  return limit !== '' || egress.length > 0 || networks.some((network) => network.egress.length > 0);
}

/** By key, its own first, which may have no rules. */
function policiesOf({ id, egress, networks }: PolicyRequest): [key: string, rules: readonly string[]][] {
  const ofNetworks = networks.filter((network) => network.egress.length > 0);
  return [
    [policyOfContainer(id), egress],
    ...ofNetworks.map((network): [string, readonly string[]] => [policyOfNetwork(network.name), network.egress]),
  ];
}

/** Those that an egress file with these lines has. Throws EgressRuleError. */
export function rulesOf(lines: readonly string[]): EgressRule[] {
  return lines.flatMap((line) => parseRuleLine(line, 'egress') ?? []);
}

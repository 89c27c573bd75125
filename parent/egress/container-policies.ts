/**
 * Policies of containers beside the stack's: what the agent reports of them, as the engine has it
 * (native/src/policy/sources.h).
 *
 * Theory of operation. Policies have keys: that of a container, and those of networks, which all containers on them share. A
 * container is known by its addresses inside, and the keys of its policies; everything that these allow together, and the
 * stack's policy, may leave. The agent is not trusted: nothing that it reports opens more than the stack's policy does.
 *
 * What an agent has reported stays when it dies. The next one reports it again, and removes what has gone meanwhile.
 */
import type { EgressReport } from '../../protocol/api/egress.js';
import { MAX_CONTAINER_RULES } from '../../protocol/egress/container-policy.js';
import { encodePolicy } from '../../protocol/egress/encode.js';
import { parseRuleLine } from '../../protocol/egress/grammar.js';
import { parseRateLimit, type RateLimit, UNLIMITED } from '../../protocol/egress/rate-limit.js';
import { egressReport } from '../../protocol/egress/report.js';
import { type EgressRule, formatRule } from '../../protocol/egress/rule.js';
import { canonical } from '../../protocol/net/ip.js';
import { printable } from '../errors.js';
import type { SourceGateway } from '../network/driver.js';
import { EgressError } from './egress.js';
import type { EgressHost } from './host.js';
import type { RateLimits } from './rate-limit.js';

/** Containers with policies at a time. */
const MAX_SOURCES = 512;
/** Keys: of as many containers, and of networks. */
const MAX_POLICIES = 1024;

/** A container, as the agent reports it. */
export interface PolicedContainer {
  id: string;
  name: string;
  addresses: string[];
  /** Keys of its policies. */
  policies: string[];
  /** As --limit takes it; none where absent. */
  limit?: string | undefined;
}

interface Source extends PolicedContainer {
  /** Of the engine. */
  number: number;
}

export class ContainerPolicies {
  readonly #rules = new Map<string, readonly EgressRule[]>();
  readonly #sources = new Map<string, Source>();
  readonly #owners = new Map<string, Source>();
  #next = 1;
  #watching = false;

  constructor(
    private readonly gateway: SourceGateway,
    private readonly host: EgressHost,
    private readonly limits: RateLimits,
  ) {}

  /** What all containers with that policy may reach from now on: lines of an egress file; none removes it. Throws EgressError. */
  setPolicy(key: string, lines: readonly string[]): void {
    if (lines.length > MAX_CONTAINER_RULES)
      throw new EgressError(400, `at most ${MAX_CONTAINER_RULES} rules are allowed`);
    const rules = lines.map((line) => {
      const rule = parseRuleLine(line, 'rules');
      if (!rule) throw new EgressError(400, 'expected rules such as "allow NAME"');
      return rule;
    });
    if (rules.length === 0) this.#rules.delete(key);
    else if (this.#rules.size >= MAX_POLICIES && !this.#rules.has(key))
      throw new EgressError(400, 'there are too many policies');
    else this.#rules.set(key, rules);
    for (const source of this.#sources.values()) if (source.policies.includes(key)) this.#apply(source);
  }

  /** Holds as soon as this returns. Throws EgressError and RateLimitError, and then nothing has changed. */
  set(container: PolicedContainer): void {
    const limit = limitOf(container);
    const known = this.#sources.get(container.id);
    if (!known && this.#sources.size >= MAX_SOURCES) {
      throw new EgressError(400, `at most ${MAX_SOURCES} containers with egress policies can run at a time`);
    }
    this.#watch();
    const source = {
      ...container,
      addresses: container.addresses.map(canonical),
      number: known?.number ?? this.#next++,
    };
    this.#apply(source);
    this.gateway.limitSource(source.number, this.limits.setContainer(source.id, limit));
    this.#sources.set(source.id, source);
    for (const address of known?.addresses ?? []) this.#disown(address, container.id);
    for (const address of source.addresses) this.#owners.set(address, source);
  }

  /** The stack's policy alone decides about it again. */
  remove(id: string): void {
    const source = this.#sources.get(id);
    if (!source) return;
    this.gateway.removeSource(source.number);
    this.limits.removeContainer(id);
    this.#sources.delete(id);
    for (const address of source.addresses) this.#disown(address, id);
  }

  /** Ids of the containers. */
  ids(): string[] {
    return [...this.#sources.keys()];
  }

  /** One of a container's policies, with its counters; undefined where the container has none of that key now. */
  report(id: string, key: string): EgressReport | undefined {
    const source = this.#sources.get(id);
    const index = source?.policies.indexOf(key) ?? -1;
    const rules = this.#rules.get(key);
    return source && rules && index >= 0
      ? egressReport(rules, this.gateway.sourceCounters(source.number, index))
      : undefined;
  }

  /** Name of the container that an address, `address:port` or without a port, belongs to. */
  nameOf(client: string): string | undefined {
    const source = this.#ofClient(client);
    return source && printable(source.name, 64);
  }

  /** A rule of one of its policies, which count from 0 as for the engine. */
  ruleText(client: string, policy: number, rule: number): string | undefined {
    const key = this.#ofClient(client)?.policies[policy];
    const found = key === undefined ? undefined : this.#rules.get(key)?.[rule];
    return found && formatRule(found);
  }

  #ofClient(client: string): Source | undefined {
    const [, bracketed, plain = client] = /^(?:\[(.*)\]|([\d.]+)):\d+$/.exec(client) ?? [];
    return this.#owners.get(canonical(bracketed ?? plain));
  }

  #disown(address: string, id: string): void {
    if (this.#owners.get(address)?.id === id) this.#owners.delete(address);
  }

  #apply({ number, addresses, policies }: Source): void {
    const encoded = policies.map((key) => encode(this.#rules.get(key)));
    if (!this.gateway.setSource(number, addresses, encoded)) {
      throw new EgressError(400, 'the engine does not accept the policies of a container');
    }
  }

  #watch(): void {
    if (this.#watching) return;
    this.gateway.setSourceHost(this.host.addresses());
    this.#watching = true;
    this.host.watch(() => {
      try {
        this.gateway.setSourceHost(this.host.addresses());
      } catch {
        // Where descriptors have run out: at the next change.
      }
    });
  }
}

function encode(rules: readonly EgressRule[] | undefined): Buffer {
  return rules === undefined ? Buffer.alloc(0) : encodePolicy(rules);
}

/** Throws RateLimitError. */
function limitOf({ name, limit }: PolicedContainer): RateLimit {
  return limit === undefined ? UNLIMITED : parseRateLimit(limit, `limit of ${printable(name, 64)}`);
}

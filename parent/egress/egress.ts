/**
 * The egress policy of a stack: what programs inside may reach. The rules are kept here, and may change while the stack runs;
 * what they mean is decided in the engine (native/src/policy/), for each connection and each name. Connections that are open
 * when the rules change continue.
 *
 * Beside the rules a policy allows the datagrams of tunnels to the other hosts of overlay networks, since the user has joined
 * those: each host's UDP port, and nothing else there. Rules that deny it win.
 */
import type { EgressReport } from '../../protocol/api/egress.js';
import { MAX_RULES } from '../../protocol/egress/egress-file.js';
import { encodePolicy } from '../../protocol/egress/encode.js';
import { egressReport } from '../../protocol/egress/report.js';
import { defaultAction, type EgressRule, formatRule } from '../../protocol/egress/rule.js';
import { ExpectedError } from '../../protocol/errors/expected-error.js';
import type { EgressGateway } from '../network/driver.js';
import type { EgressHost } from './host.js';
import type { Learning } from './learning.js';
import { type PeerEndpoint, peerRules } from './peer-rules.js';

export class EgressError extends ExpectedError {
  override name = 'EgressError';
  override readonly code: string = 'egress';
  constructor(
    override readonly httpStatus: 400 | 403 | 404,
    message: string,
  ) {
    super(message);
  }
}

/** Until the host's addresses are read again, in ms. */
const RETRY_MS = 1000;

export class Egress {
  #rules: readonly EgressRule[] = [];
  /** Of hosts of overlay networks. */
  #peers: readonly EgressRule[] = [];
  /** Those of them that the engine has. */
  #applied: readonly EgressRule[] = [];
  /** Of the host, as the engine has them. */
  #addresses: readonly string[] = [];
  #watching = false;

  constructor(
    private readonly gateway: Omit<EgressGateway, 'sources'>,
    rules: readonly EgressRule[],
    private readonly host: EgressHost,
    private readonly learning?: Learning,
  ) {
    if (rules.length > 0) this.#set(rules);
  }

  /** Whether there are rules. */
  get active(): boolean {
    return this.#rules.length > 0;
  }

  report(): EgressReport {
    return {
      ...(this.active ? egressReport(this.#rules, this.gateway.egressCounters(), this.#applied) : egressReport([], [])),
      ...(this.learning && { learned: this.learning.report() }),
    };
  }

  /** The rule of that number, as a line of an egress file. */
  ruleText(index: number): string | undefined {
    const rule = [...this.#rules, ...this.#applied][index];
    return rule && formatRule(rule);
  }

  /**
   * Allows the datagrams of tunnels to these hosts, and to none of before. Addresses and ports are what others have
   * announced: those that are never another host's, and ports of the system's services, need rules of the user.
   */
  allowPeers(peers: readonly PeerEndpoint[]): void {
    const rules = peerRules(peers);
    if (rules.map(formatRule).join() === this.#peers.map(formatRule).join()) return;
    this.#peers = rules;
    if (this.active) this.#set(this.#rules);
  }

  /** Adds rules that are not there yet. Counters restart from zero. Throws EgressError. */
  add(rules: readonly EgressRule[]): EgressReport {
    if (this.learning)
      throw new EgressError(400, 'this stack records what its programs reach (--learn), and has no policy');
    const known = new Set(this.#rules.map(formatRule));
    const added = rules.filter((rule) => !known.has(formatRule(rule)) && known.add(formatRule(rule)));
    if (this.#rules.length + added.length > MAX_RULES) {
      throw new EgressError(
        400,
        `there would be ${this.#rules.length + added.length} rules; at most ${MAX_RULES} are allowed`,
      );
    }
    if (added.length > 0) this.#set([...this.#rules, ...added]);
    return this.report();
  }

  /** Removes rules. Throws EgressError for one that is not there, and then none is removed. */
  remove(rules: readonly EgressRule[]): EgressReport {
    const left = new Map(this.#rules.map((rule) => [formatRule(rule), rule]));
    for (const rule of rules) {
      if (!left.delete(formatRule(rule))) throw new EgressError(404, `there is no rule "${formatRule(rule)}"`);
    }
    const rest = [...left.values()];
    if (defaultAction(rest) !== defaultAction(this.#rules)) {
      throw new EgressError(
        400,
        'without its last rule that allows, the policy would allow everything; hint: add "allow @none" first, or "allow *"',
      );
    }
    this.#set(rest);
    return this.report();
  }

  /** The host's addresses may have changed. */
  refresh(): void {
    if (this.#rules.length === 0) return;
    try {
      const addresses = this.host.addresses();
      if (addresses.join() !== this.#addresses.join()) this.#set(this.#rules, addresses);
    } catch {
      // Such as where descriptors have run out.
      setTimeout(() => this.refresh(), RETRY_MS).unref();
    }
  }

  #set(rules: readonly EgressRule[], addresses = this.host.addresses()): void {
    if (!this.#watching && rules.length > 0) {
      this.#watching = true;
      this.host.watch(() => this.refresh());
    }
    const applied = this.#peers.slice(0, MAX_RULES - rules.length);
    const policy = rules.length === 0 ? Buffer.alloc(0) : encodePolicy(rules, applied);
    if (!this.gateway.setEgress(policy, addresses)) throw new Error('the engine does not accept the policy');
    this.#rules = rules;
    this.#applied = applied;
    this.#addresses = addresses;
  }
}

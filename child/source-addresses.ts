/**
 * Lets servers see the addresses of their clients.
 *
 * Theory of operation. The agent's socket towards the server is bound to the client's address (native/src/dialer.h). What
 * the server answers would leave by the default route; so a rule sends packets that come from the server's port to a
 * routing table, where each client has a local route, which leads them back to the socket. The rule matches the answer at
 * its first look-up, so no mark and no packet filter is needed, and it works for UDP as it does for TCP. Only packets from
 * that port to known clients are concerned; whatever else the server sends goes its usual way.
 *
 *   server in this namespace     rule `iif lo ipproto … sport PORT`, route `local CLIENT dev lo src ADDRESS`: the source
 *                                is what an unconnected UDP socket answers from, which is what was asked
 *                                and for UDP rule `from ADDRESS iif lo ipproto icmp …`, for the news that nobody listens
 *   container on a bridge        rule `iif BRIDGE from ADDRESS ipproto … sport PORT`, route `local CLIENT dev lo`
 *
 * Numbers of tables are made of addresses, so that another agent after this one finds what it needs already there.
 */
import { createHash } from 'node:crypto';
import { isIP, isIPv4 } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { DialAddress } from '../protocol/dial-rule.js';
import { errorText } from '../protocol/error-text.js';
import type { ConnectTarget } from '../protocol/messages.js';
import { contains } from './container/subnets.js';
import { boundAddresses } from './netlink/bound-addresses.js';
import { type LocalRoute, PolicyRouting, type PolicyRule } from './netlink/policy.js';

/** Before the main table (32766), after the local one (0). */
const PRIORITY = 20_000;
const TABLES = 0x72_00_00_00;
/** Clients with a route, over all tables, from which on those that have left are looked for. */
const MANY_CLIENTS = 16_384;

/** How answers of something that is not in this namespace come back. */
export interface WayBack {
  /** Device on which they arrive. */
  device: string;
  /** In CIDR notation: clients with such addresses would be answered directly, and not through here. */
  except: readonly string[];
}

export class SourceAddresses {
  /** Rules by what they say, each with the targets that need it. */
  readonly #rules = new Map<string, { rule: PolicyRule; targets: Set<string> }>();
  /** Routes by what they say, the oldest first. */
  readonly #routes = new Map<string, LocalRoute>();
  #threshold = MANY_CLIENTS;
  #warned = false;

  constructor(
    private readonly isLocal: (ip: string) => boolean,
    /** Undefined where answers of that address do not come back here. */
    private readonly wayBack: (ip: string) => Promise<WayBack | undefined>,
    /** Called when clients are to be asked for again. */
    private readonly forgetClients: () => void,
    private readonly warn: (line: string) => void,
  ) {}

  /** Whether the servers at these addresses can see that client's; makes what it needs. `target` names whom it is for. */
  async keep(
    target: string,
    { proto }: ConnectTarget,
    addresses: readonly DialAddress[],
    client: string,
  ): Promise<boolean> {
    if (isIP(client) === 0 || !isOrdinary(client)) return false;
    const fitting = addresses.filter(({ ip }) => isIPv4(ip) === isIPv4(client));
    if (fitting.length === 0) return false;
    try {
      for (const { ip, port } of fitting) {
        // It looks into the container, which may just have ended.
        const way = this.isLocal(ip) ? 'local' : await this.wayBack(ip);
        if (way === undefined || (way !== 'local' && way.except.some((cidr) => contains(cidr, client)))) return false;
        const family = isIPv4(ip) ? 4 : 6;
        const table = tableOf(way === 'local' ? ip : 'containers');
        const common = { family, what: { protocol: proto, port }, table, priority: PRIORITY } as const;
        if (way === 'local' && proto === 'udp') {
          this.#needRule(target, { ...common, from: 'lo', source: ip, what: 'unreachable' });
        }
        this.#needRule(
          target,
          way === 'local' ? { ...common, from: 'lo' } : { ...common, from: way.device, source: ip },
        );
        // One of our own needs no route to find us.
        if (!this.isLocal(client)) {
          this.#needRoute({ address: client, table, ...(way === 'local' ? { preferredSource: ip } : {}) });
        }
      }
      return true;
    } catch (error) {
      if (!this.#warned) this.warn(`servers see connections from this side of the port: ${errorText(error)}`);
      this.#warned = true;
      return false;
    }
  }

  /**
   * Does once, to no effect, what the first client would wait for else: code is compiled when it first runs, and that takes
   * longer than all of it does later.
   */
  prepare(): void {
    try {
      using routing = new PolicyRouting();
      for (const [family, client] of [[4, '192.0.2.1'] as const, [6, '2001:db8::1'] as const]) {
        const table = tableOf(client);
        if (isIP(client) !== family || !isOrdinary(client) || this.isLocal(client)) continue;
        routing.deleteRule({ family, from: 'lo', what: { protocol: 'tcp', port: 1 }, table, priority: PRIORITY });
        routing.deleteRoutes([{ address: client, table }]);
      }
    } catch {
      // It is told when it keeps something from somebody.
    }
  }

  /** No port leads to that target any more. */
  forget(target: string): void {
    for (const [key, { rule, targets }] of this.#rules) {
      if (!targets.delete(target) || targets.size > 0) continue;
      this.#rules.delete(key);
      using routing = new PolicyRouting();
      routing.deleteRule(rule);
    }
  }

  #needRule(target: string, rule: PolicyRule): void {
    const key = JSON.stringify(rule);
    const known = this.#rules.get(key);
    if (known) {
      known.targets.add(target);
      return;
    }
    using routing = new PolicyRouting();
    routing.addRule(rule);
    this.#rules.set(key, { rule, targets: new Set([target]) });
  }

  #needRoute(route: LocalRoute): void {
    const key = `${route.table} ${route.address}`;
    if (this.#routes.has(key)) return;
    using routing = new PolicyRouting();
    routing.addRoute(route);
    this.#routes.set(key, route);
    if (this.#routes.size > this.#threshold) this.#sweep(routing);
  }

  /** Removes the routes of clients that have no connection any more, but the newest, which may be about to have one. */
  #sweep(routing: PolicyRouting): void {
    const bound = boundAddresses();
    const all = [...this.#routes];
    const gone = all.slice(0, -1024).filter(([, { address }]) => !bound.has(address));
    routing.deleteRoutes(gone.map(([, route]) => route));
    for (const [key] of gone) this.#routes.delete(key);
    this.#threshold = Math.max(MANY_CLIENTS, 2 * this.#routes.size);
    this.forgetClients();
  }
}

/** Link-local ones need a device, and mean another machine there. */
function isOrdinary(ip: string): boolean {
  return ['unicast', 'private', 'uniqueLocal', 'carrierGradeNat', 'reserved'].includes(ipaddr.parse(ip).range());
}

function tableOf(what: string): number {
  return TABLES | createHash('sha256').update(what).digest().readUIntBE(0, 3);
}

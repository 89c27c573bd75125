/**
 * Packet filter and masquerading of container networks: one static ruleset, and sets with the existing bridges. No rule
 * belongs to a single container, so attaching one changes nothing here.
 *
 *   prerouting    what is for port 53 of a bridge's gateway goes to its DNS server, which has another port: so programs in this
 *                 namespace, containers with --net=host among them, may have port 53 at every address
 *   input         servers in this namespace are not reachable from internal bridges and from those with isolated containers,
 *                 at any address, but for the network's own DNS server. Pings pass, and replies on connections from here, such as
 *                 those of published ports. By a tunnel, and no other way, agents of other hosts reach the one here
 *                 (overlay/exchange.ts)
 *   forward       within a bridge everything passes if its containers may reach each other; between bridges nothing passes,
 *                 nor from outside unless it is a reply; internal bridges have no outside
 *   postrouting   packets to the outside are masqueraded, apart from those to the network driver builtin, which has routes back
 *
 * A bridge's tunnel leads to the same network on other hosts. It is one network with the bridge where containers may reach each
 * other; else nothing passes between them. Beside that nothing here is reachable from it, nor is it from here but for
 * this namespace's own packets, and nothing is masqueraded: members of the network see each other's addresses.
 */
import { familyOf, parseIP } from '../../../../protocol/net/ip.js';
import { EXCHANGE_PORT } from '../../../../protocol/overlay/types.js';
import { NAME_SERVER_PORT } from '../../../dns/name-service.js';
import { runProgram } from '../../run-program.js';
import { type Network, subnetsOf } from '../network.js';

const TABLE = 'inet rootless_net';

export interface FirewallBridge {
  device: string;
  /** In CIDR notation. */
  subnets: string[];
  /** Its own addresses, where the network's DNS server is. */
  gateways: string[];
  internal: boolean;
  /** Whether its containers may reach each other. */
  icc: boolean;
  /** The device that leads to the same network on other hosts. */
  tunnel?: string | undefined;
}

/** The rules of a bridge network; undefined for networks that plugins set up. */
export function firewallBridge(network: Network): FirewallBridge | undefined {
  if (!network.bridge) return undefined;
  const { device, internal, icc, rangeSets, tunnel } = network.bridge;
  const gateways = rangeSets.flatMap(([range]) => range?.gateway ?? []);
  return { device, internal, icc, gateways, tunnel, subnets: subnetsOf(network).map(({ subnet }) => subnet) };
}

/** An element of one of the sets. */
export interface FirewallElement {
  set: string;
  value: string;
}

/** A packet filter backend. Every method throws ProgramError. */
export interface Firewall {
  /** Adds a bridge's rules; can be repeated. */
  ensure(bridge: FirewallBridge): Promise<void>;
  remove(bridge: FirewallBridge): Promise<void>;
  /** The current state: the elements, and whether the static rules are complete. */
  inForce(): Promise<{ elements: FirewallElement[]; complete: boolean }>;
  drop(element: FirewallElement): Promise<void>;
  /** Whether a bridge's rules are installed. */
  has(bridge: FirewallBridge): Promise<boolean>;
  /** Like ensure(), for rules that another program has removed. */
  restore(bridge: FirewallBridge): Promise<void>;
}

/** @param direct device where addresses of containers are known, "" for none */
const rulesetFor = (direct: string) => `
add table ${TABLE}
add set ${TABLE} bridges { type ifname; }
add set ${TABLE} same { type ifname . ifname; }
add set ${TABLE} internal { type ifname; }
add set ${TABLE} closed { type ifname; }
add set ${TABLE} tunnels { type ifname; }
add set ${TABLE} subnets4 { type ipv4_addr; flags interval; }
add set ${TABLE} subnets6 { type ipv6_addr; flags interval; }
add set ${TABLE} names4 { type ifname . ipv4_addr; }
add set ${TABLE} names6 { type ifname . ipv6_addr; }
add chain ${TABLE} prerouting { type nat hook prerouting priority dstnat; policy accept; }
add chain ${TABLE} input { type filter hook input priority filter; policy accept; }
add chain ${TABLE} forward { type filter hook forward priority filter; policy accept; }
add chain ${TABLE} postrouting { type nat hook postrouting priority srcnat; policy accept; }
flush chain ${TABLE} prerouting
flush chain ${TABLE} input
flush chain ${TABLE} forward
flush chain ${TABLE} postrouting
add rule ${TABLE} prerouting iifname . ip daddr @names4 meta l4proto { tcp, udp } th dport 53 redirect to :${NAME_SERVER_PORT}
add rule ${TABLE} prerouting iifname . ip6 daddr @names6 meta l4proto { tcp, udp } th dport 53 redirect to :${NAME_SERVER_PORT}
add rule ${TABLE} input udp dport ${EXCHANGE_PORT} iifname @tunnels accept
add rule ${TABLE} input udp dport ${EXCHANGE_PORT} iifname @bridges drop
add rule ${TABLE} input iifname != @closed accept
add rule ${TABLE} input ct state established,related accept
add rule ${TABLE} input iifname . ip daddr @names4 meta l4proto { tcp, udp } th dport ${NAME_SERVER_PORT} accept
add rule ${TABLE} input iifname . ip6 daddr @names6 meta l4proto { tcp, udp } th dport ${NAME_SERVER_PORT} accept
add rule ${TABLE} input icmp type echo-request accept
add rule ${TABLE} input icmpv6 type { echo-request, nd-neighbor-solicit, nd-neighbor-advert } accept
add rule ${TABLE} input drop
add rule ${TABLE} forward iifname . oifname @same accept
add rule ${TABLE} forward iifname @internal drop
add rule ${TABLE} forward oifname @internal drop
add rule ${TABLE} forward ct state established,related accept
add rule ${TABLE} forward oifname @bridges drop
add rule ${TABLE} postrouting oifname @bridges return
${direct === '' ? '' : `add rule ${TABLE} postrouting oifname "${direct}" return\n`}\
add rule ${TABLE} postrouting ip saddr @subnets4 masquerade
add rule ${TABLE} postrouting ip6 saddr @subnets6 masquerade
`;

let changes: Promise<unknown> = Promise.resolve();

/** Makes changes to any table, serialised: nft rejects the second of two concurrent transactions. Throws ProgramError. */
export function nftTransaction(text: string): Promise<string> {
  const change = changes.then(() => runProgram('nft', ['-f', '-'], text));
  changes = change.catch(() => {});
  return change;
}

/** nftables (nft(8)), with one transaction for each change. */
export class NftFirewall implements Firewall {
  /** The devices whose rules this process has added, with their text. */
  readonly #known = new Map<string, string>();

  /** @param direct device where the addresses of containers are known; "" for none */
  constructor(private readonly direct: () => string = () => '') {}

  async ensure(bridge: FirewallBridge): Promise<void> {
    const elements = elementsOf(bridge).map((element) => `add ${elementText(element)}`);
    const text = elements.join('\n');
    if (this.#known.get(bridge.device) === text) return;
    await nftTransaction(`${this.#ruleset()}${text}\n`);
    this.#known.set(bridge.device, text);
  }

  async remove(bridge: FirewallBridge): Promise<void> {
    this.#known.delete(bridge.device);
    await this.#drop(elementsOf(bridge));
  }

  async inForce(): Promise<{ elements: FirewallElement[]; complete: boolean }> {
    const items = await listTable(TABLE);
    const elements = items.flatMap(({ set }) =>
      (set?.elem ?? []).map((elem) => ({
        set: set?.name ?? '',
        value: textOf(elem, /^subnets/.test(set?.name ?? '')),
      })),
    );
    return { elements, complete: hasRulesOf(this.#ruleset(), items) };
  }

  async drop(element: FirewallElement): Promise<void> {
    await this.#drop([element]);
  }

  async has(bridge: FirewallBridge): Promise<boolean> {
    const { elements, complete } = await this.inForce();
    const present = elements.map(elementText);
    return complete && elementsOf(bridge).every((element) => present.includes(elementText(element)));
  }

  async restore(bridge: FirewallBridge): Promise<void> {
    this.#known.delete(bridge.device);
    await this.ensure(bridge);
  }

  #ruleset(): string {
    return rulesetFor(this.direct());
  }

  async #drop(elements: readonly FirewallElement[]): Promise<void> {
    // Deleting a missing element would fail the transaction, so it is added first.
    const lines = elements.flatMap((element) => [`add ${elementText(element)}`, `delete ${elementText(element)}`]);
    await nftTransaction(`${this.#ruleset()}${lines.join('\n')}\n`);
  }
}

/** The elements of a bridge in the sets. */
export function elementsOf(bridge: FirewallBridge): FirewallElement[] {
  const { device, subnets, gateways, internal, icc, tunnel } = bridge;
  const name = `"${device}"`;
  const outward = subnets.map((value) => ({ set: `subnets${familyOf(value)}`, value }));
  return [
    { set: 'bridges', value: name },
    // Isolated ports do not see each other, but the gateway would forward their packets.
    ...(icc ? [{ set: 'same', value: `${name} . ${name}` }] : []),
    ...(internal ? [{ set: 'internal', value: name }] : outward),
    ...(internal || !icc ? [{ set: 'closed', value: name }] : []),
    ...gateways.map((ip) => ({ set: `names${familyOf(ip)}`, value: `${name} . ${ip}` })),
    ...(tunnel === undefined ? [] : tunnelElements(name, `"${tunnel}"`, icc)),
  ];
}

function tunnelElements(bridge: string, tunnel: string, icc: boolean): FirewallElement[] {
  const bothWays = [`${bridge} . ${tunnel}`, `${tunnel} . ${bridge}`];
  return [
    ...['bridges', 'internal', 'closed', 'tunnels'].map((set) => ({ set, value: tunnel })),
    ...(icc ? bothWays.map((value) => ({ set: 'same', value })) : []),
  ];
}

/** In the JSON of nft (libnftables-json(5)). */
export type NftElement =
  | string
  | { concat: string[] }
  | { prefix: { addr: string; len: number } }
  | { range: string[] };

/** The used part of a table's items. */
export interface NftItem {
  set?: { name: string; elem?: NftElement[] };
  rule?: { chain: string };
}

/** Empty where the table does not exist, as before the first network is used. */
export async function listTable(table: string): Promise<NftItem[]> {
  const text = await runProgram('nft', ['-j', 'list', 'table', ...table.split(' ')]).catch(() => '{}');
  return (JSON.parse(text) as { nftables?: NftItem[] }).nftables ?? [];
}

/** Whether each chain has as many rules as the ruleset gives it. */
export function hasRulesOf(ruleset: string, items: readonly NftItem[]): boolean {
  const wanted = [...ruleset.matchAll(/^add rule \S+ \S+ (\S+)/gm)].map(([, chain]) => chain ?? '');
  const count = (chain: string) => wanted.filter((one) => one === chain).length;
  return wanted.every((chain) => items.filter(({ rule }) => rule?.chain === chain).length === count(chain));
}

/** In the syntax of rules. */
function textOf(element: NftElement, isAddress: boolean): string {
  if (typeof element === 'string') return isAddress ? element : `"${element}"`;
  if ('concat' in element) return element.concat.map((part) => (parseIP(part) ? part : `"${part}"`)).join(' . ');
  if ('prefix' in element) return `${element.prefix.addr}/${element.prefix.len}`;
  return element.range.join('-');
}

function elementText({ set, value }: FirewallElement): string {
  return `element ${TABLE} ${set} { ${value} }`;
}

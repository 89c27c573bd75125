/**
 * Packet filter and address translation of container networks: one static ruleset, and sets that say which bridges there
 * are. Nothing in it belongs to a single container, so attaching one changes nothing here.
 *
 *   forward       within a bridge everything passes, where its containers may reach each other; between bridges nothing
 *                 does, nor from outside unless it is an answer; internal bridges have no outside
 *   postrouting   what leaves for the outside gets the address of the way out
 */
import { runProgram } from './run-program.js';

const TABLE = 'inet rootless_net';

export interface FirewallBridge {
  device: string;
  /** In CIDR notation. */
  subnets: string[];
  internal: boolean;
  /** Whether its containers may reach each other. */
  icc: boolean;
}

/** An element of one of the sets. */
export interface FirewallElement {
  set: string;
  value: string;
}

/** A back end of the packet filter. Every method throws ProgramError. */
export interface Firewall {
  /** Puts a bridge's rules in place; any number of times. */
  ensure(bridge: FirewallBridge): Promise<void>;
  remove(bridge: FirewallBridge): Promise<void>;
  /** All that is in force. */
  elements(): Promise<FirewallElement[]>;
  drop(element: FirewallElement): Promise<void>;
  /** Whether a bridge's rules are in force. */
  has(bridge: FirewallBridge): Promise<boolean>;
  /** As ensure(), for rules that somebody else has taken away. */
  restore(bridge: FirewallBridge): Promise<void>;
}

const RULESET = `
add table ${TABLE}
add set ${TABLE} bridges { type ifname; }
add set ${TABLE} same { type ifname . ifname; }
add set ${TABLE} internal { type ifname; }
add set ${TABLE} subnets4 { type ipv4_addr; flags interval; }
add set ${TABLE} subnets6 { type ipv6_addr; flags interval; }
add chain ${TABLE} forward { type filter hook forward priority filter; policy accept; }
add chain ${TABLE} postrouting { type nat hook postrouting priority srcnat; policy accept; }
flush chain ${TABLE} forward
flush chain ${TABLE} postrouting
add rule ${TABLE} forward iifname . oifname @same accept
add rule ${TABLE} forward iifname @internal drop
add rule ${TABLE} forward oifname @internal drop
add rule ${TABLE} forward ct state established,related accept
add rule ${TABLE} forward oifname @bridges drop
add rule ${TABLE} postrouting oifname @bridges return
add rule ${TABLE} postrouting ip saddr @subnets4 masquerade
add rule ${TABLE} postrouting ip6 saddr @subnets6 masquerade
`;

/** nftables (nft(8)): one transaction for each change. */
export class NftFirewall implements Firewall {
  /** Devices whose rules this process has put in place, with what they say. */
  readonly #known = new Map<string, string>();
  #changes: Promise<unknown> = Promise.resolve();

  async ensure(bridge: FirewallBridge): Promise<void> {
    const elements = elementsOf(bridge).map((element) => `add ${sentence(element)}`);
    const text = elements.join('\n');
    if (this.#known.get(bridge.device) === text) return;
    await this.#transaction(`${RULESET}${text}\n`);
    this.#known.set(bridge.device, text);
  }

  async remove(bridge: FirewallBridge): Promise<void> {
    this.#known.delete(bridge.device);
    await this.#drop(elementsOf(bridge));
  }

  async elements(): Promise<FirewallElement[]> {
    // There is no table before the first network is in use.
    const text = await runProgram('nft', ['-j', 'list', 'table', ...TABLE.split(' ')]).catch(() => '{}');
    const { nftables = [] } = JSON.parse(text) as { nftables?: { set?: { name: string; elem?: NftElement[] } }[] };
    return nftables.flatMap(({ set }) =>
      (set?.elem ?? []).map((elem) => ({
        set: set?.name ?? '',
        value: textOf(elem, /^subnets/.test(set?.name ?? '')),
      })),
    );
  }

  async drop(element: FirewallElement): Promise<void> {
    await this.#drop([element]);
  }

  async has(bridge: FirewallBridge): Promise<boolean> {
    const present = (await this.elements()).map(sentence);
    return elementsOf(bridge).every((element) => present.includes(sentence(element)));
  }

  async restore(bridge: FirewallBridge): Promise<void> {
    this.#known.delete(bridge.device);
    await this.ensure(bridge);
  }

  async #drop(elements: readonly FirewallElement[]): Promise<void> {
    // An element that is not there fails the whole: so it is added first.
    const lines = elements.flatMap((element) => [`add ${sentence(element)}`, `delete ${sentence(element)}`]);
    await this.#transaction(`${RULESET}${lines.join('\n')}\n`);
  }

  /** One after the other, which nft would do itself, but with an error for whoever comes second. */
  #transaction(text: string): Promise<string> {
    const done = this.#changes.then(() => runProgram('nft', ['-f', '-'], text));
    this.#changes = done.catch(() => {});
    return done;
  }
}

/** What a bridge has in the sets. */
export function elementsOf({ device, subnets, internal, icc }: FirewallBridge): FirewallElement[] {
  const name = `"${device}"`;
  const outward = subnets.map((value) => ({ set: value.includes(':') ? 'subnets6' : 'subnets4', value }));
  return [
    { set: 'bridges', value: name },
    // Isolated ports do not see each other, but the gateway would pass their packets on.
    ...(icc ? [{ set: 'same', value: `${name} . ${name}` }] : []),
    ...(internal ? [{ set: 'internal', value: name }] : outward),
  ];
}

/** In JSON of nft (libnftables-json(5)). */
type NftElement = string | { concat: string[] } | { prefix: { addr: string; len: number } } | { range: string[] };

/** As it is written in a rule. */
function textOf(element: NftElement, isAddress: boolean): string {
  if (typeof element === 'string') return isAddress ? element : `"${element}"`;
  if ('concat' in element) return element.concat.map((part) => `"${part}"`).join(' . ');
  if ('prefix' in element) return `${element.prefix.addr}/${element.prefix.len}`;
  return element.range.join('-');
}

function sentence({ set, value }: FirewallElement): string {
  return `element ${TABLE} ${set} { ${value} }`;
}

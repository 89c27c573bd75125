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

/** A back end of the packet filter. Every method throws ProgramError. */
export interface Firewall {
  /** Puts a bridge's rules in place; any number of times. */
  ensure(bridge: FirewallBridge): Promise<void>;
  remove(bridge: FirewallBridge): Promise<void>;
  /** What is in force for bridges that are not among these. */
  strays(devices: readonly string[]): Promise<FirewallBridge[]>;
  /** Whether a bridge's rules are in force. */
  has(bridge: FirewallBridge): Promise<boolean>;
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
    const elements = elementsOf(bridge).map(([set, value]) => `add element ${TABLE} ${set} { ${value} }`);
    const text = elements.join('\n');
    if (this.#known.get(bridge.device) === text) return;
    await this.#transaction(`${RULESET}${text}\n`);
    this.#known.set(bridge.device, text);
  }

  async remove(bridge: FirewallBridge): Promise<void> {
    this.#known.delete(bridge.device);
    // An element that is not there fails the whole: so it is added first.
    const lines = elementsOf(bridge).flatMap(([set, value]) => [
      `add element ${TABLE} ${set} { ${value} }`,
      `delete element ${TABLE} ${set} { ${value} }`,
    ]);
    await this.#transaction(`${RULESET}${lines.join('\n')}\n`);
  }

  async strays(devices: readonly string[]): Promise<FirewallBridge[]> {
    const present = await this.#elements('bridges');
    return present
      .filter((device) => !devices.includes(device))
      .map((device) => ({ device, subnets: [], internal: true, icc: true }));
  }

  async has({ device }: FirewallBridge): Promise<boolean> {
    return (await this.#elements('bridges')).includes(device);
  }

  async #elements(set: string): Promise<string[]> {
    const text = await runProgram('nft', ['list', 'set', ...TABLE.split(' '), set]).catch(() => '');
    const list = /elements = \{([^}]*)\}/.exec(text)?.[1] ?? '';
    return [...list.matchAll(/"([^"]+)"/g)].map((match) => match[1] ?? '');
  }

  /** One after the other, which nft would do itself, but with an error for whoever comes second. */
  #transaction(text: string): Promise<string> {
    const done = this.#changes.then(() => runProgram('nft', ['-f', '-'], text));
    this.#changes = done.catch(() => {});
    return done;
  }
}

function elementsOf({ device, subnets, internal, icc }: FirewallBridge): [set: string, value: string][] {
  const name = `"${device}"`;
  const outward = subnets.map((subnet): [string, string] => [subnet.includes(':') ? 'subnets6' : 'subnets4', subnet]);
  return [
    ['bridges', name],
    // Isolated ports do not see each other, but the gateway would pass their packets on.
    ...(icc ? [['same', `${name} . ${name}`] as [string, string]] : []),
    ...(internal ? [['internal', name] as [string, string]] : outward),
  ];
}

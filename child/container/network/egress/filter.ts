/**
 * The tables of the packet filter for containers with egress policies. They exist while there are such containers, and are
 * written as a whole at each change, in one transaction; changes that come meanwhile are made together.
 *
 * Theory of operation. `bridge rootless_net_policy` sees what a container sends before the bridge does. Only packets with the
 * container's own MAC and IP address pass; of other protocols ARP, with the same sender, and neighbour discovery, which
 * advertises no address but its own. Packets
 * between such a container and others on its network are led through this namespace, by the bridge's MAC address, instead of
 * straight to the other port: only a routed packet has a connection that can be tracked, so that answers pass on what others
 * have begun (the bridge's own connection tracking is missing in many kernels).
 *
 * `inet rootless_net_policy` decides about them. What the container begins passes to the device behind which the parent
 * decides, and to what its policies allow of its own networks and of this namespace; all else is refused at once. The table of
 * firewall.ts applies as well: isolation of networks from each other, for example.
 */
import { createHash } from 'node:crypto';
import type { EgressRule } from '../../../../protocol/egress/rule.js';
import { errorText } from '../../../../protocol/errors/error-text.js';
import { familyOf, parseIP } from '../../../../protocol/net/ip.js';
import { NAME_SERVER_PORT } from '../../../dns/name-service.js';
import { ContainerError } from '../../errors.js';
import { listTable, nftTransaction } from '../bridge/firewall.js';
import { enableForwarding } from '../bridge/forwarding.js';
import { type PeerName, peerStatements, REFUSE } from './peer-rules.js';

const TABLE = 'rootless_net_policy';

/** An interface of such a container. */
export interface PolicedInterface {
  ifname: string;
  /** Its end on the bridge. */
  device: string;
  mac: string;
  addresses: readonly string[];
  bridge: string;
  /** Leads to the same network on other hosts. */
  tunnel?: string | undefined;
  bridgeMac: string;
  /** In CIDR notation. */
  subnets: readonly string[];
  /** Addresses of the bridge. */
  gateways: readonly string[];
}

/** A container with policies. */
export interface PolicedContainer {
  id: string;
  /** Its own; none where only its networks have policies. */
  own: readonly EgressRule[];
  /** Those of its networks. */
  networks: readonly (readonly EgressRule[])[];
  interfaces: readonly PolicedInterface[];
  peers: readonly PeerName[];
}

export class PolicyFilter {
  #written = '';
  #wanted = '';
  #writing: Promise<void> | undefined;

  /** @param direct device behind which the parent decides; see HostInfo */
  constructor(private readonly direct: () => string) {}

  /** Resolves when these containers, and no others, are in the kernel's tables. Throws ContainerError. */
  async apply(containers: readonly PolicedContainer[]): Promise<void> {
    this.#wanted = containers.length === 0 ? '' : tablesOf(containers, this.direct());
    while (this.#wanted !== this.#written) {
      this.#writing ??= this.#write().finally(() => {
        this.#writing = undefined;
      });
      await this.#writing;
    }
  }

  /** Whether another program has removed the tables. */
  async isDamaged(): Promise<boolean> {
    if (this.#written === '') return false;
    const tables = await Promise.all(['bridge', 'inet'].map((family) => listTable(`${family} ${TABLE}`)));
    return tables.some((items) => items.length === 0);
  }

  /** Writes them again. Throws ContainerError. */
  async restore(containers: readonly PolicedContainer[]): Promise<void> {
    this.#written = '';
    await this.apply(containers);
  }

  async #write(): Promise<void> {
    const text = this.#wanted;
    // Packets to peers are routed, on internal networks, too.
    if (text !== '') enableForwarding();
    try {
      await nftTransaction(`${REMOVAL}${text}`);
    } catch (error) {
      throw new ContainerError(
        `this kernel cannot enforce egress policies of containers: ${errorText(error)}; hint: they need nf_tables for bridges`,
        500,
      );
    }
    this.#written = text;
  }
}

/** Deleting a missing table would fail, so it is added first. */
const REMOVAL = ['bridge', 'inet']
  .flatMap((family) => ['add', 'delete'].map((verb) => `${verb} table ${family} ${TABLE}\n`))
  .join('');

/** The text of both tables. */
export function tablesOf(containers: readonly PolicedContainer[], direct: string): string {
  const interfaces = containers.flatMap((container) => container.interfaces);
  return `${bridgeTable(interfaces)}${inetTable(containers, direct)}`;
}

function elements(values: readonly string[]): string {
  const once = [...new Set(values)];
  return once.length === 0 ? '' : `elements = { ${once.join(', ')} }; `;
}

function bridgeTable(interfaces: readonly PolicedInterface[]): string {
  const own = (family: 4 | 6, more: (one: PolicedInterface) => string[] = () => []) =>
    elements(
      interfaces.flatMap((one) =>
        [...one.addresses.filter((ip) => familyOf(ip) === family), ...more(one)].map(
          (ip) => `"${one.device}" . ${one.mac} . ${ip}`,
        ),
      ),
    );
  const advertised = interfaces.flatMap(({ device, mac, addresses }) => {
    const targets = [...addresses, linkLocalOf(mac)].flatMap((ip) => targetOf(ip) ?? []);
    return `    iifname "${device}" @th,64,128 { ${[...new Set(targets)].join(', ')} } accept\n`;
  });
  const routers = (family: 4 | 6) =>
    elements(
      interfaces.flatMap((one) =>
        one.addresses.filter((ip) => familyOf(ip) === family).map((ip) => `${ip} : ${one.bridgeMac}`),
      ),
    );
  return `
table bridge ${TABLE} {
  set guarded { type ifname; ${elements(interfaces.map(({ device }) => `"${device}"`))}}
  set own4 { type ifname . ether_addr . ipv4_addr; ${own(4)}}
  set own6 { type ifname . ether_addr . ipv6_addr; ${own(6)}}
  set neighbours { type ifname . ether_addr . ipv6_addr; ${own(6, ({ mac }) => ['::', linkLocalOf(mac)])}}
  map bridges { type ifname : ether_addr; ${elements(interfaces.map((one) => `"${one.device}" : ${one.bridgeMac}`))}}
  map routers4 { type ipv4_addr : ether_addr; ${routers(4)}}
  map routers6 { type ipv6_addr : ether_addr; ${routers(6)}}
  chain routed {
    meta pkttype { broadcast, multicast } drop
    ether daddr set iifname map @bridges meta pkttype set unicast accept
    drop
  }
  chain advertised {
${advertised.join('')}    drop
  }
  chain source {
    ether type arp iifname . ether saddr . arp saddr ip @own4 iifname . arp saddr ether . arp saddr ip @own4 accept
    ether type ip iifname . ether saddr . ip saddr @own4 goto routed
    ether type ip6 icmpv6 type nd-neighbor-solicit iifname . ether saddr . ip6 saddr @neighbours accept
    ether type ip6 icmpv6 type nd-neighbor-advert iifname . ether saddr . ip6 saddr @neighbours goto advertised
    ether type ip6 iifname . ether saddr . ip6 saddr @own6 goto routed
    drop
  }
  chain prerouting {
    type filter hook prerouting priority -300; policy accept;
    iifname @guarded goto source
    meta pkttype { broadcast, multicast } accept
    ether type ip ether daddr set ip daddr map @routers4 meta pkttype set unicast accept
    ether type ip6 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    ether type ip6 ether daddr set ip6 daddr map @routers6 meta pkttype set unicast accept
  }
}
`;
}

/** The target of an advertisement (RFC 4861, section 4.4), which nft(8) has no name for before 1.0.8; undefined for IPv4. */
function targetOf(ip: string): string | undefined {
  const parsed = parseIP(ip);
  return parsed?.family === 6 ? `0x${parsed.value.toString(16).padStart(32, '0')}` : undefined;
}

function inetTable(containers: readonly PolicedContainer[], direct: string): string {
  const verdicts = (prefix: string, family: 4 | 6) =>
    elements(
      containers.flatMap((container) =>
        container.interfaces
          .flatMap(({ addresses }) => addresses)
          .filter((ip) => familyOf(ip) === family)
          .map((ip) => `${ip} : goto ${prefix}_${keyOf(container)}`),
      ),
    );
  return `
table inet ${TABLE} {
  chain refuse {
    reject with icmpx type admin-prohibited
  }
${containers.map((container) => chainsOf(container, direct)).join('')}
  map forward4 { type ipv4_addr : verdict; ${verdicts('out', 4)}}
  map forward6 { type ipv6_addr : verdict; ${verdicts('out', 6)}}
  map input4 { type ipv4_addr : verdict; ${verdicts('in', 4)}}
  map input6 { type ipv6_addr : verdict; ${verdicts('in', 6)}}
  chain forward {
    type filter hook forward priority -10; policy accept;
    ct state established,related accept
    ip6 hoplimit 255 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    ip saddr vmap @forward4
    ip6 saddr vmap @forward6
  }
  chain input {
    type filter hook input priority -10; policy accept;
    ct state established,related accept
    ip saddr vmap @input4
    ip6 saddr vmap @input6
  }
  chain output {
    type filter hook output priority -10; policy accept;
    icmpv6 type nd-redirect drop
  }
}
`;
}

/** What is decided about one container: what it sends to others, and to this namespace. */
function chainsOf(container: PolicedContainer, direct: string): string {
  const { interfaces, own, networks, peers } = container;
  const key = keyOf(container);
  const bridges = [
    ...new Set(interfaces.flatMap(({ bridge, tunnel }) => (tunnel === undefined ? [bridge] : [bridge, tunnel]))),
  ];
  const surroundings = { subnets: interfaces.flatMap(({ subnets }) => subnets), peers };
  const policies = [own, ...networks]
    .map((rules, index) => ({ name: `policy${index}_${key}`, rules }))
    .filter(({ rules }) => rules.length > 0);
  const jumps = policies.map(({ name }) => `jump ${name}`);
  const servers = interfaces.flatMap(({ gateways }) => gateways).flatMap((ip) => dnsAccepts(ip));
  return [
    ...policies.map(({ name, rules }) => chain(name, peerStatements(rules, surroundings))),
    // On its networks only its own policy decides, and the network (--no-icc).
    chain(`out_${key}`, [
      ...(direct === '' ? [] : [`oifname "${direct}" accept`]),
      ...(own.length > 0 ? [`jump policy0_${key}`] : []),
      ...(bridges.length > 0 ? [`oifname { ${bridges.map((device) => `"${device}"`).join(', ')} } accept`] : []),
      REFUSE,
    ]),
    chain(`in_${key}`, [
      'icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, echo-request } accept',
      'icmp type echo-request accept',
      ...servers,
      ...jumps,
      'accept',
    ]),
  ].join('');
}

/** The DNS server of a network, by its own port (../bridge/firewall.ts): the parent decides about names. */
function dnsAccepts(ip: string): string[] {
  const to = `${familyOf(ip) === 4 ? 'ip' : 'ip6'} daddr ${ip}`;
  return ['udp', 'tcp'].map((transport) => `${to} ${transport} dport ${NAME_SERVER_PORT} accept`);
}

function chain(name: string, statements: readonly string[]): string {
  return `  chain ${name} {\n${statements.map((statement) => `    ${statement}\n`).join('')}  }\n`;
}

function keyOf({ id }: PolicedContainer): string {
  return createHash('sha256').update(id).digest('hex').slice(0, 16);
}

/** The address that the kernel gives an interface by itself (RFC 4291, appendix A). */
export function linkLocalOf(mac: string): string {
  const [first = 0, ...rest] = mac.split(':').map((byte) => Number.parseInt(byte, 16));
  const bytes = [first ^ 2, ...rest.slice(0, 2), 0xff, 0xfe, ...rest.slice(2)];
  const hex = bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return `fe80::${hex.match(/.{4}/g)?.join(':')}`;
}

/**
 * The names that one DNS server answers with, as text in the form that native/src/dns/server/zone.h reads: of a container
 * network (child/dns/), of a stack's own network, and of what the host may ask for (parent/dns/).
 */

/** Something with names. */
export interface ZoneEntry {
  names: readonly string[];
  /** IPv4 and IPv6. With none the names do not exist, and are not asked of others either. */
  addresses: readonly string[];
}

export interface ZoneContent {
  /** Suffix of the names of `entries`; absent for none. */
  network?: string;
  /** Whether names that are not here are asked of the host's resolvers; `never` where they are refused. */
  outside: boolean | 'never';
  /** In CIDR notation. */
  subnets?: readonly string[];
  /** Domains that programs append to names. */
  search?: readonly string[];
  entries?: readonly ZoneEntry[];
  /** Whole names, which are not extended by that of the network. */
  exact?: readonly ZoneEntry[];
  /** Names in rootless.internal only, where `entries` have none of that name. */
  domain?: readonly ZoneEntry[];
  /** Names of addresses, beside the first one of each entry. */
  reverse?: readonly { address: string; name: string }[];
}

/** The domain of names of stacks and containers (RFC 9476 has .internal for private use). */
export const DOMAIN = 'rootless.internal';

export function zoneText(content: ZoneContent): string {
  const { network, outside, subnets = [], search = [], entries = [], exact = [], domain = [], reverse = [] } = content;
  const lines = [
    ...(network === undefined ? [] : [`network ${network}`]),
    ...(outside === true ? ['outside'] : []),
    ...(outside === 'never' ? ['only'] : []),
    ...subnets.map((subnet) => `subnet ${subnet}`),
    ...search.filter(isWord).map((name) => `search ${name}`),
    ...reverse.filter(({ name }) => isWord(name)).map(({ address, name }) => `reverse ${address} ${name}`),
  ];
  const named = new Set<string>();
  for (const { names, addresses } of entries) {
    const usable = names.filter(isWord);
    for (const name of usable) lines.push(['name', name, ...addresses].join(' '));
    for (const address of addresses) {
      if (usable[0] === undefined || named.has(address)) continue;
      named.add(address);
      lines.push(`reverse ${address} ${usable[0]}.${network}`);
    }
  }
  for (const [keyword, list] of [
    ['exact', exact],
    ['domain', domain],
  ] as const) {
    for (const { names, addresses } of list) {
      for (const name of names.filter(isWord)) lines.push([keyword, name, ...addresses].join(' '));
    }
  }
  return lines.map((line) => `${line}\n`).join('');
}

/** A blank in it would begin another word of the line. */
function isWord(name: string): boolean {
  return /^[^\s.]\S*$/.test(name);
}

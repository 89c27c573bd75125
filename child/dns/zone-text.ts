/** The names of one network as text, in the form that native/src/dns/server/zone.h reads. */
import type { NameEntry } from './name-source.js';

export interface ZoneContent {
  network: string;
  /** Whether names that are not here are asked of the host's resolvers. */
  outside: boolean;
  /** In CIDR notation. */
  subnets: readonly string[];
  /** Domains that programs append to names. */
  search: readonly string[];
  entries: readonly NameEntry[];
  /** Whole names, which are not extended by that of the network. */
  exact: readonly NameEntry[];
}

export function zoneText({ network, outside, subnets, search, entries, exact }: ZoneContent): string {
  const lines = [
    `network ${network}`,
    ...(outside ? ['outside'] : []),
    ...subnets.map((subnet) => `subnet ${subnet}`),
    ...search.filter(isWord).map((domain) => `search ${domain}`),
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
  for (const { names, addresses } of exact) {
    for (const name of names.filter(isWord)) lines.push(['exact', name, ...addresses].join(' '));
  }
  return lines.map((line) => `${line}\n`).join('');
}

/** A blank in it would begin another word of the line. */
function isWord(name: string): boolean {
  return /^[^\s.]\S*$/.test(name);
}

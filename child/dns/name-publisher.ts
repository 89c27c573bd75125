/**
 * Tells the parent the names of all networks, which it answers the host's programs with (--dns-publish). The parent gets all of
 * them after each change, one message at a time: changes meanwhile come together in the next one.
 */
import { errorText } from '../../protocol/errors/error-text.js';
import { containerName } from '../../protocol/overlay/schemas.js';
import {
  MAX_PUBLISHED_ADDRESSES,
  MAX_PUBLISHED_NAMES,
  type PublishedNames,
} from '../../protocol/wire/published-names.js';
import type { NameEntry } from './name-source.js';

export interface NetworkNames {
  network: string;
  /** In CIDR notation. */
  subnets: readonly string[];
  entries: readonly NameEntry[];
}

export class NamePublisher {
  #sending = false;
  #stale = false;
  #sent = '';

  constructor(
    private readonly list: () => NetworkNames[],
    private readonly send: (names: PublishedNames) => Promise<unknown>,
    private readonly warn: (line: string) => void,
  ) {}

  /** Names may have changed. */
  changed(): void {
    this.#stale = true;
    if (!this.#sending) void this.#run();
  }

  async #run(): Promise<void> {
    this.#sending = true;
    while (this.#stale) {
      this.#stale = false;
      const names = publishedNames(this.list());
      const text = JSON.stringify(names);
      if (text === this.#sent) continue;
      try {
        await this.send(names);
        this.#sent = text;
      } catch (error) {
        this.warn(`the host's programs do not get names of containers: ${errorText(error)}`);
      }
    }
    this.#sending = false;
  }
}

/** Names that are valid in DNS and have addresses, as many as the parent takes. */
export function publishedNames(list: readonly NetworkNames[]): PublishedNames {
  let room = MAX_PUBLISHED_NAMES;
  const networks = list.map(({ network, subnets, entries }) => ({
    network,
    subnets: [...subnets],
    entries: entries.flatMap(({ names, addresses, container = '' }) => {
      const valid = names.map((name) => name.toLowerCase()).filter((name) => containerName.safeParse(name).success);
      const kept = valid.slice(0, Math.max(room, 0));
      if (kept.length === 0 || addresses.length === 0) return [];
      room -= kept.length;
      return [{ names: kept, addresses: addresses.slice(0, MAX_PUBLISHED_ADDRESSES), container }];
    }),
  }));
  return { networks };
}

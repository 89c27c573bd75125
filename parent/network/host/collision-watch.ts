/** Reports when the host gets a route to the network of a running stack, such as from a VPN. */
import type { NetworkDriverInfo } from '../../../protocol/api/types.js';
import type { HostNetwork } from '../../../protocol/wire/messages.js';
import { errorText } from '../../errors.js';
import { collisionWith, hostNetworks, stackNetworks } from './networks.js';

/** Routes are added one by one. */
const SETTLE_MS = 500;

/** Reports at most, since routing daemons could cause them without end. */
const MAX_REPORTS = 20;

export interface CollisionWatchOptions {
  network: () => NetworkDriverInfo | undefined;
  log: { debug(line: string): void; warn(line: string): void };
  /** Fake of the host's networks, for tests. */
  hostNetworks?: () => HostNetwork[];
}

export class CollisionWatch {
  readonly #known = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  /** Overlaps that already exist are not reported: the start has reported them, or the user has chosen the network. */
  constructor(private readonly options: CollisionWatchOptions) {
    for (const line of this.#collisions()) this.#known.add(line);
  }

  /** To be called when the host's addresses, routes or rules have changed. */
  changed(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      for (const line of this.#collisions()) {
        if (this.#known.has(line) || this.#known.size >= MAX_REPORTS) continue;
        this.#known.add(line);
        this.options.log.warn(line);
      }
    }, SETTLE_MS).unref();
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #collisions(): string[] {
    const { network, log, hostNetworks: list = hostNetworks } = this.options;
    try {
      const host = list();
      return stackNetworks(network()).flatMap((own) => {
        const hit = collisionWith(own.subnet, host);
        if (!hit) return [];
        return `${own.what} overlaps ${hit.what}, which is unreachable inside; hint: restart the stack, which selects another network unless --cidr names one`;
      });
    } catch (error) {
      log.debug(`cannot list the networks of the host: ${errorText(error)}`);
      return [];
    }
  }
}

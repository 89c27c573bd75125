/**
 * Reports what listens in a network namespace, whenever that changes.
 *
 * Theory of operation. The kernel reports sockets that are closed, but none that begin to listen, so it is asked for all of
 * them every POLL_MS: that takes some tens of microseconds, whatever else is open. A look that takes long, since programs
 * inside have opened thousands of sockets, is followed by a pause that is PAUSE_FACTOR times as long.
 */
import { errorText } from '../../protocol/errors/error-text.js';
import type { Listener, PortRange } from '../../protocol/ports/auto.js';
import type { ListenerRule } from '../../protocol/wire/messages.js';
import { chooseListeners, ephemeralRange, socketInodes } from './listeners.js';
import { SocketDump } from './socket-dump.js';

/** A port is to be published within 300 ms. */
const POLL_MS = 150;
/** So a look takes at most this part of a CPU. */
const PAUSE_FACTOR = 20;
/** How long settings of the namespace are not read again. */
const SETTINGS_MS = 5_000;

export interface ListenerWatchOptions {
  /** Path of the network namespace; "" for this one. */
  netns: string;
  /** Whether it is a container's. */
  container: boolean;
  rules: readonly ListenerRule[];
  /** Gets all of them: at first, and after each change. */
  report: (listeners: Listener[]) => void;
  warn: (line: string) => void;
}

export class ListenerWatch implements Disposable {
  #dump: SocketDump | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** What was reported last, as text. */
  #reported: string | undefined;
  /** Inodes of this process's own sockets, and of those that are known not to be. */
  #own = new Set<number>();
  #foreign = new Set<number>();
  #warned = false;
  #ephemeral: { since: number; range: PortRange } | undefined;
  readonly #transports: ReadonlySet<Listener['transport']>;

  constructor(private readonly options: ListenerWatchOptions) {
    const { rules } = options;
    this.#transports = new Set(rules.flatMap(({ transport }) => transport ?? (['tcp', 'udp'] as const)));
    this.#look();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#dump?.[Symbol.dispose]();
    this.#dump = undefined;
  }

  #look(): void {
    const begin = performance.now();
    try {
      this.#dump ??= new SocketDump(this.options.netns);
      this.#find(this.#dump);
    } catch (error) {
      // Netlink may be denied by a filter, or no descriptor may be free.
      if (!this.#warned) this.options.warn(`cannot list what listens inside: ${errorText(error)}`);
      this.#warned = true;
    }
    const pause = Math.max(POLL_MS, PAUSE_FACTOR * (performance.now() - begin));
    this.#timer = setTimeout(() => this.#look(), pause).unref();
  }

  #find(dump: SocketDump): void {
    const { container, report, rules } = this.options;
    const sockets = dump.read(this.#transports);
    if (sockets.some(({ inode }) => !this.#own.has(inode) && !this.#foreign.has(inode))) {
      this.#own = socketInodes();
      this.#foreign = new Set(sockets.flatMap(({ inode }) => (this.#own.has(inode) ? [] : [inode])));
    }
    const ephemeral = this.#ephemeralRange();
    const listeners = chooseListeners(sockets, { rules, container, ephemeral, own: this.#own });
    const text = JSON.stringify(listeners);
    if (text === this.#reported) return;
    this.#reported = text;
    report(listeners);
  }

  /** Reading it takes longer than a look. */
  #ephemeralRange(): PortRange {
    const now = performance.now();
    if (this.#ephemeral === undefined || now - this.#ephemeral.since > SETTINGS_MS) {
      this.#ephemeral = { since: now, range: ephemeralRange() };
    }
    return this.#ephemeral.range;
  }
}

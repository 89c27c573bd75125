/**
 * Starts a network's program again when it ends by itself.
 *
 * Theory of operation. up → lost (a line is logged) → after a delay the driver sets the network up again, in the same
 * namespaces → up again (a line is logged), or lost again, with the delay doubled. The delay begins small again for a
 * network that was up for a while. Published ports of the builtin driver and connections between programs inside do not
 * depend on it, and continue; connections to the outside that the program has carried are lost.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { errorText, NetworkError } from '../errors.js';
import type { ChildNamespaces, Network } from './driver.js';

const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 30_000;
/** A network that was up for so long is restarted after the first delay when it is lost. */
const STABLE_MS = 60_000;

export interface RestartOptions {
  child: Pick<ChildNamespaces, 'ended'>;
  /** Sets the network up again; undefined if that is not possible. Throws NetworkError. */
  again: (() => Promise<Network>) | undefined;
  warn: (line: string) => void;
  info: (line: string) => void;
}

export class RestartingNetwork implements Network {
  readonly #restored: (() => void)[] = [];
  readonly #closing = new AbortController();
  #current: Network;
  #restarting: Promise<void> = Promise.resolve();
  #delay = FIRST_DELAY_MS;
  isLost = false;

  constructor(
    first: Network,
    private readonly options: RestartOptions,
  ) {
    this.#current = first;
    this.#watch(first);
  }

  get info(): Network['info'] {
    return this.#current.info;
  }

  get egress(): Network['egress'] {
    return this.#current.egress;
  }

  /** Never called: this class handles the loss. */
  onLost(): void {}

  onRestored(listener: () => void): void {
    this.#restored.push(listener);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#restarting;
    await this.#current.close();
  }

  #watch(network: Network): void {
    const since = performance.now();
    network.onLost((reason) => {
      if (this.#ended) return;
      if (performance.now() - since > STABLE_MS) this.#delay = FIRST_DELAY_MS;
      const { again, warn } = this.options;
      this.isLost = true;
      warn(`the network is lost: ${reason}; ${again ? 'starting it again' : 'restart to get it back'}`);
      if (again) this.#restarting = this.#restart(again);
    });
  }

  /** The network also ends with the namespaces. */
  get #ended(): boolean {
    return this.#closing.signal.aborted || this.options.child.ended;
  }

  async #restart(again: () => Promise<Network>): Promise<void> {
    for (;;) {
      await sleep(this.#delay, undefined, { signal: this.#closing.signal, ref: false }).catch(() => {});
      if (this.#ended) return;
      this.#delay = Math.min(2 * this.#delay, LONGEST_DELAY_MS);
      try {
        this.#current = await again();
      } catch (error) {
        if (this.#ended) return;
        if (!(error instanceof NetworkError)) throw error;
        this.options.warn(
          `the network cannot be started again: ${errorText(error)}; next attempt in ${this.#delay / 1000} s`,
        );
        continue;
      }
      if (this.#closing.signal.aborted) return;
      this.isLost = false;
      this.options.info('the network is up again');
      this.#watch(this.#current);
      for (const listener of this.#restored) listener();
      return;
    }
  }
}

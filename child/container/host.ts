/** What the parent knows of the host. */
import type { HostInfo, HostNetwork } from '../../protocol/wire/messages.js';
import type { ParentLink } from './parent-link.js';

/** How long what the parent knows of the host counts as current, in ms. */
const INFO_LASTS = 100;

export class Host {
  #last: HostInfo | undefined;
  #asked: { at: number; answer: Promise<HostInfo> } | undefined;

  constructor(private readonly parent: ParentLink) {}

  /** The current information; the tasks of one start share an answer. */
  readonly info = async (): Promise<HostInfo> => {
    const now = performance.now();
    if (this.#asked === undefined || now - this.#asked.at > INFO_LASTS) {
      const answer = this.parent.request('host-info', {});
      this.#asked = { at: now, answer };
      answer.catch(() => {
        if (this.#asked?.answer === answer) this.#asked = undefined;
      });
    }
    this.#last = await this.#asked.answer;
    return this.#last;
  };

  /** Asks again, whatever is known; info() gives the answer from then on. */
  readonly refresh = (): Promise<HostInfo> => {
    this.forget();
    return this.info();
  };

  /** To be called when it has changed. */
  forget(): void {
    this.#asked = undefined;
  }

  readonly networks = async (): Promise<HostNetwork[]> => (await this.parent.request('host-networks', {})).networks;

  /** As HostInfo's, by the last info(). */
  readonly direct = (): string => this.#last?.direct ?? '';

  /** MTU of the stack's network, by the last info(); 0 if it is unknown. */
  readonly mtu = (): number => this.#last?.mtu ?? 0;
}

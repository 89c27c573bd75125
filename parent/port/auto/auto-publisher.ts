/** The automatic ports of a stack and of its containers, by who has them: "" for the stack, or the id of a container. */
import type { Subnet } from '../../../protocol/net/cidr.js';
import type { AutoPublish, Listener } from '../../../protocol/ports/auto.js';
import { PortError } from '../errors.js';
import { type AddressClaim, claimAddress } from './address-claim.js';
import { AutoSource, type AutoSourceDeps, type AutoSourceOptions } from './auto-source.js';

export interface AutoPublisherDeps extends AutoSourceDeps {
  /** Addresses of loopback, one of which each owner gets. */
  addresses: Subnet;
}

export interface AutoRequest extends Pick<AutoSourceOptions, 'container'> {
  rules: readonly AutoPublish[];
  /** What the address follows from. */
  name: string;
}

/** Of all containers. */
const MAX_OWNERS = 1_000;

interface Entry {
  /** What it began with, as text. */
  request: string;
  source: AutoSource;
  claim: AddressClaim | undefined;
}

export class AutoPublisher {
  readonly #entries = new Map<string, Entry>();
  #closed = false;

  constructor(private readonly deps: AutoPublisherDeps) {}

  /** Begins to publish what update() reports. Nothing changes where the owner has begun with the same. Throws PortError. */
  async begin(owner: string, request: AutoRequest): Promise<void> {
    const { rules, name, container } = request;
    const text = JSON.stringify(request);
    if (this.#entries.get(owner)?.request === text) return;
    await this.end(owner);
    if (this.#entries.size >= MAX_OWNERS) throw new PortError(`-p auto is for up to ${MAX_OWNERS} containers`);
    const needsAddress = rules.some(({ ip }) => ip === '');
    const claim = needsAddress ? await claimAddress(this.deps.addresses, name) : undefined;
    const source = new AutoSource(this.deps, { rules, ip: claim?.ip ?? '', container });
    this.#entries.set(owner, { request: text, source, claim });
    if (this.#closed) await this.end(owner);
  }

  /** Does nothing for an owner that has not begun. */
  update(owner: string, listeners: readonly Listener[]): void {
    this.#entries.get(owner)?.source.update(listeners);
  }

  /** Resolves when its ports are closed. */
  async end(owner: string): Promise<void> {
    const entry = this.#entries.get(owner);
    this.#entries.delete(owner);
    await entry?.source.close();
    entry?.claim?.[Symbol.dispose]();
  }

  /** All that have begun. */
  owners(): string[] {
    return [...this.#entries.keys()];
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.owners().map((owner) => this.end(owner)));
  }
}

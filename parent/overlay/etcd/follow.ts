/**
 * Follows all keys below a prefix.
 *
 * Theory of operation. List, then watch from the revision after it, and begin again whenever the watch ends: an endpoint
 * dies, or the revision has been compacted. A watch reports neither a lost leader nor a network that is gone: it stays
 * silent. So the keys are also listed every LIST_MS. Where that fails, what was known stays known, and `onLost` reports it.
 */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { isFields } from '../../../protocol/api/report-shapes.js';
import { type EtcdClient, type KeyValue, keyValueOf } from './client.js';
import { jsonLines } from './http.js';

/** How often all is listed, in ms. */
const LIST_MS = 10_000;
/** Pause after a failure, in ms: twice as long each time, up to the second. */
const PAUSE_MS = [250, 4_000] as const;

export type Picture = ReadonlyMap<string, KeyValue>;

export interface FollowHandlers {
  /** All keys, whenever something has changed, and after each list. */
  onPicture: (keys: Picture) => void;
  onLost: (error: unknown) => void;
}

export class Following {
  readonly #closing = new AbortController();
  #keys = new Map<string, KeyValue>();
  #revision = 0n;
  #ended: Promise<void>;

  constructor(
    private readonly client: EtcdClient,
    private readonly prefix: string,
    private readonly handlers: FollowHandlers,
  ) {
    this.#ended = this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    let pause: number = PAUSE_MS[0];
    while (!signal.aborted) {
      const round = new AbortController();
      const stop = () => round.abort();
      signal.addEventListener('abort', stop);
      try {
        await this.#list();
        const since = performance.now();
        await Promise.race([this.#watch(round.signal), this.#listAgain(round.signal)]);
        this.client.next();
        // One that ends at once is refused, whatever the list says.
        if (performance.now() - since < PAUSE_MS[0]) await delay(pause, undefined, { signal }).catch(() => {});
        else pause = PAUSE_MS[0];
      } catch (error) {
        if (signal.aborted) break;
        this.handlers.onLost(error);
        // Spread, so that a hundred hosts do not come back at the same moment.
        await delay(pause * (0.5 + Math.random()), undefined, { signal }).catch(() => {});
        pause = Math.min(pause * 2, PAUSE_MS[1]);
      } finally {
        signal.removeEventListener('abort', stop);
        round.abort();
      }
    }
  }

  /** Whether something was new in it. Throws what EtcdClient.list() throws. */
  async #list(): Promise<boolean> {
    const { entries, revision } = await this.client.list(this.prefix);
    // An older one only after etcd was restored from a backup.
    const isOlder = revision < this.#revision;
    this.#revision = revision;
    // What has not changed stays the same object: what was read of it is known by that.
    const before = this.#keys;
    this.#keys = new Map(
      entries.map((entry) => {
        const known = before.get(entry.key);
        return [entry.key, known?.modRevision === entry.modRevision ? known : entry];
      }),
    );
    if (!this.#closing.signal.aborted) this.handlers.onPicture(this.#keys);
    return isOlder || before.size !== this.#keys.size || entries.some((entry) => this.#keys.get(entry.key) === entry);
  }

  /** Resolves when the watch is of no use any more. Throws what list() throws. */
  async #listAgain(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await delay(LIST_MS, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      // Had the watch delivered everything, nothing would be new; but for what is on its way, and then a new watch does no harm.
      if (await this.#list()) return;
    }
  }

  /** Resolves when the watch has ended. */
  async #watch(signal: AbortSignal): Promise<void> {
    try {
      const request = this.client.watch(this.prefix, this.#revision + 1n, signal);
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      response.on('error', () => {});
      request.on('error', () => {});
      for await (const line of jsonLines(response)) {
        const result = isFields(line) && isFields(line.result) ? line.result : undefined;
        // An error, such as a token that has expired, or a compacted revision.
        if (!result || result.canceled === true) return;
        this.#apply(result);
      }
    } catch {
      // The endpoint is gone; listing will find out what is the matter.
    }
  }

  #apply(result: Record<string, unknown>): void {
    const events: unknown[] = Array.isArray(result.events) ? result.events : [];
    if (events.length === 0) return;
    // Not that of the answer, which may be ahead of its events: those between come with the next one.
    let revision = this.#revision;
    for (const event of events) {
      if (!isFields(event)) continue;
      const entry = keyValueOf(event.kv);
      const known = this.#keys.get(entry.key);
      // A list may have been faster.
      if (known && known.modRevision > entry.modRevision) continue;
      if (event.type === 'DELETE') {
        if (entry.modRevision > (known?.modRevision ?? -1n)) this.#keys.delete(entry.key);
      } else if (known || entry.modRevision > this.#revision) this.#keys.set(entry.key, entry);
      if (entry.modRevision > revision) revision = entry.modRevision;
    }
    this.#revision = revision;
    if (!this.#closing.signal.aborted) this.handlers.onPicture(this.#keys);
  }
}

/**
 * Passes queries that the DNS servers have answered on to the parent, for its event stream, while it has readers. The
 * engine reports some 200 a second at most; one message is under way at a time, and what does not fit in the next one is counted.
 */
import type { DnsQuery } from '../../native/index.js';
import { ORIGINS } from '../../protocol/dns/origins.js';
import { recordTypeName } from '../../protocol/dns/record-types.js';
import { MAX_QUERY_REPORTS, type QueryReport } from '../../protocol/wire/query-reports.js';

export interface QueryPlaces {
  /** The name of a network; undefined for one that is not served any more. */
  networkOf(id: number): string | undefined;
  /** The name of the container with that address. */
  containerAt(address: string): string | undefined;
}

export class QueryReporter {
  #waiting: QueryReport[] = [];
  #missed = 0;
  #sending = false;

  constructor(
    private readonly places: QueryPlaces,
    private readonly send: (queries: QueryReport[]) => Promise<unknown>,
  ) {}

  add({ network, client, name, record, from, ms, missed }: DnsQuery): void {
    this.#missed += missed;
    const place = this.places.networkOf(network);
    if (place === undefined || this.#waiting.length >= MAX_QUERY_REPORTS) {
      this.#missed++;
      return;
    }
    const container = this.places.containerAt(client);
    this.#waiting.push({
      network: place,
      client,
      ...(container !== undefined && { container }),
      name,
      record: recordTypeName(record),
      from: ORIGINS[from] ?? 'lost',
      ms,
      missed: this.#missed,
    });
    this.#missed = 0;
    if (!this.#sending) void this.#run();
  }

  async #run(): Promise<void> {
    this.#sending = true;
    while (this.#waiting.length > 0) {
      const queries = this.#waiting;
      this.#waiting = [];
      // Without a parent they have no reader.
      await this.send(queries).catch(() => {});
    }
    this.#sending = false;
  }
}

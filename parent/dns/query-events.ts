/**
 * Events of DNS queries, while a subscriber of the event stream wants them: of the stack's own network and of the host's programs
 * from the engine here, of container networks from the agent. Each has 200 a second at most (query_reports.h); the agent, which is
 * not trusted, has as many as the rate here lets through, and its texts are cleaned.
 */
import type { DnsQuery } from '../../native/index.js';
import type { DnsQueryEvent } from '../../protocol/api/types.js';
import { ORIGINS } from '../../protocol/dns/origins.js';
import { recordTypeName } from '../../protocol/dns/record-types.js';
import type { QueryReport } from '../../protocol/wire/query-reports.js';
import { printable } from '../errors.js';

/** The engine's number of the server for the host's programs. */
export const HOST_SERVER = 1;

const MAX_RATE = 1000;

export class QueryEvents {
  #second = 0;
  #inSecond = 0;
  #missed = 0;

  constructor(
    private readonly emit: (event: DnsQueryEvent) => void,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Of the engine of this process. */
  onQuery({ network, client, name, record, from, ms, missed }: DnsQuery): void {
    const server = network === HOST_SERVER ? 'host' : 'stack';
    const report = { client, name, record: recordTypeName(record), answeredBy: ORIGINS[from] ?? 'lost', ms };
    this.emit({ type: 'dns-query', server, ...report, ...(missed > 0 && { missed }) });
  }

  /** Of the agent; validated (protocol/wire/query-reports.ts). */
  onReports(reports: readonly QueryReport[]): void {
    for (const { network, client, container, name, record, from, ms, missed } of reports) {
      this.#missed += missed;
      if (!this.#isWithinRate()) {
        this.#missed++;
        continue;
      }
      const left = this.#missed;
      this.#missed = 0;
      this.emit({
        type: 'dns-query',
        server: 'network',
        network: printable(network),
        client: printable(client),
        ...(container !== undefined && { container: printable(container) }),
        name: printable(name),
        record: printable(record),
        answeredBy: from,
        ms,
        ...(left > 0 && { missed: left }),
      });
    }
  }

  #isWithinRate(): boolean {
    const second = Math.floor(this.now() / 1000);
    if (second !== this.#second) this.#inSecond = 0;
    this.#second = second;
    return ++this.#inSecond <= MAX_RATE;
  }
}

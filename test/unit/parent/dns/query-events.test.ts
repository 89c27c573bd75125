import assert from 'node:assert/strict';
import { QueryReporter } from '../../../../child/dns/query-reporter.js';
import { EventBus } from '../../../../parent/api/event-bus.js';
import { QueryEvents } from '../../../../parent/dns/query-events.js';
import type { DnsQueryEvent } from '../../../../protocol/api/types.js';
import { MAX_QUERY_REPORTS, type QueryReport } from '../../../../protocol/wire/query-reports.js';

const report: QueryReport = {
  network: 'back',
  client: '10.4.0.2',
  container: 'web',
  name: 'redis',
  record: 'A',
  from: 'own',
  ms: 0,
  missed: 0,
};

describe('events of DNS queries', () => {
  it('are made while somebody wants them', () => {
    const bus = new EventBus();
    const wanted: boolean[] = [];
    bus.onQueriesWanted = (value) => wanted.push(value);
    const [first, second] = [bus.watchQueries(), bus.watchQueries()];
    first();
    first();
    assert.deepEqual(wanted, [true]);
    second();
    assert.deepEqual(wanted, [true, false]);
  });

  it('say who asked and who answered, in clean text', () => {
    const events: DnsQueryEvent[] = [];
    const queries = new QueryEvents((event) => events.push(event));
    queries.onReports([{ ...report, container: 'we\u001bb', missed: 3 }]);
    queries.onQuery({
      type: 'dns-query',
      network: 1,
      client: '127.0.0.1',
      name: 'web.rootless.internal',
      record: 28,
      from: 1,
      ms: 2,
      missed: 0,
    });
    const [{ container = '', ...first } = assert.fail(), second] = events;
    assert.ok(!container.includes('\u001b'));
    assert.deepEqual(first, {
      type: 'dns-query',
      server: 'network',
      network: 'back',
      client: '10.4.0.2',
      name: 'redis',
      record: 'A',
      answeredBy: 'own',
      ms: 0,
      missed: 3,
    });
    assert.deepEqual(second, {
      type: 'dns-query',
      server: 'host',
      client: '127.0.0.1',
      name: 'web.rootless.internal',
      record: 'AAAA',
      answeredBy: 'missing',
      ms: 2,
    });
  });

  it('of an agent have a limit, and what is left out is counted', () => {
    const events: DnsQueryEvent[] = [];
    let now = 0;
    const queries = new QueryEvents(
      (event) => events.push(event),
      () => now,
    );
    queries.onReports(Array.from({ length: 1200 }, () => report));
    assert.equal(events.length, 1000);
    now = 1000;
    queries.onReports([report]);
    assert.equal(events.at(-1)?.missed, 200);
  });

  it('reach the parent one message at a time', async () => {
    const sent: QueryReport[][] = [];
    let done = () => {};
    const reporter = new QueryReporter(
      { networkOf: (id) => (id === 1 ? 'back' : undefined), containerAt: () => 'web' },
      (queries) => {
        sent.push(queries);
        return new Promise<void>((resolve) => {
          done = resolve;
        });
      },
    );
    const query = {
      type: 'dns-query',
      network: 1,
      client: '10.4.0.2',
      name: 'redis',
      record: 1,
      from: 0,
      ms: 0,
      missed: 0,
    } as const;
    reporter.add(query);
    // Of a network that is gone.
    reporter.add({ ...query, network: 2 });
    for (let i = 0; i < MAX_QUERY_REPORTS + 9; i++) reporter.add(query);
    assert.deepEqual(sent, [[report]]);
    done();
    await new Promise(setImmediate);
    assert.equal(sent[1]?.length, MAX_QUERY_REPORTS);
    assert.equal(sent[1]?.[0]?.missed, 1);
    done();
    await new Promise(setImmediate);
    reporter.add(query);
    assert.equal(sent[2]?.[0]?.missed, 9);
  });
});

import assert from 'node:assert/strict';
import type { StackClient } from '../../../../parent/client/stack-client.js';
import { type EventFilter, Events, type EventType } from '../../../../parent/library/events.js';

describe('events of the library', () => {
  /** Whether a stack is asked for events of DNS queries. */
  function asksForQueries(type?: EventFilter['type']): boolean | undefined {
    let asked: boolean | undefined;
    const client: Pick<StackClient, 'events'> = {
      async *events({ queries } = {}) {
        asked = queries;
        yield* [];
      },
    };
    new Events<EventType>(client, type === undefined ? {} : { type });
    return asked;
  }

  it('are those of DNS queries only where they are asked for', () => {
    assert.equal(asksForQueries('dns-query'), true);
    assert.equal(asksForQueries(['port-added', 'dns-query']), true);
    assert.equal(asksForQueries('port-added'), false);
    assert.equal(asksForQueries(), false);
  });
});

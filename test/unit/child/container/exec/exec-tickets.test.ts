import assert from 'node:assert/strict';
import { ExecTickets } from '../../../../../child/container/exec/exec-tickets.js';

const request = (word = 'true') => ({ command: [word], env: [], tty: false, stdin: false, detach: false });
const limits = { lifetime: 60_000, count: 2, bytes: 100 };
const unknown = { name: 'ContainerError', httpStatus: 404, message: /^no such exec: / };
const full = { name: 'ContainerError', httpStatus: 503, message: /^too many exec requests are pending/ };

describe('requests for further programs', () => {
  it('are good for one stream of their container', () => {
    const tickets = new ExecTickets(limits);
    const id = tickets.issue('one', request());
    assert.match(id, /^[0-9a-f]{32}$/);
    assert.throws(() => tickets.take('other', id), unknown);
    assert.throws(() => tickets.take('one', ''), unknown);
    assert.deepEqual(tickets.take('one', id), request());
    assert.throws(() => tickets.take('one', id), unknown);
  });

  it('are bounded in number and size, and make room when they are used or too old', () => {
    const tickets = new ExecTickets(limits);
    const ids = [tickets.issue('one', request()), tickets.issue('one', request())];
    assert.throws(() => tickets.issue('one', request()), full);
    tickets.take('one', ids[0] ?? '');
    assert.throws(() => tickets.issue('one', request('x'.repeat(97))), full);
    tickets.issue('one', request('x'.repeat(96)));
    const old = new ExecTickets({ ...limits, lifetime: 0, count: 1 });
    const first = old.issue('one', request());
    old.issue('one', request());
    assert.throws(() => old.take('one', first), unknown);
  });
});

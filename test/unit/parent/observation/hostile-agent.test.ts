import assert from 'node:assert/strict';
import { AgentTraces } from '../../../../parent/agent/traces.js';
import { AgentEvents, parseEvent } from '../../../../parent/containers/events.js';
import type { ContainerEvent } from '../../../../protocol/api/types.js';

describe('what a hostile agent reports', () => {
  it('becomes an event only in its form, with clean names', () => {
    const exited = { type: 'container-exited', container: 'a\u001b[2Jb', id: 'x'.repeat(9999), exitCode: 3, more: 1 };
    const event = parseEvent(exited);
    assert.deepEqual({ ...event, id: '' }, { type: 'container-exited', container: 'a [2Jb', id: '', exitCode: 3 });
    assert.ok((event?.id.length ?? 0) < 600);
    for (const wrong of [
      undefined,
      null,
      'container-created',
      [],
      {},
      { type: 'driver-state', driver: 'builtin', state: 'ready' },
      { type: 'constructor', container: 'a', id: 'b' },
      { type: 'container-created', container: 'a' },
      { type: 'container-created', container: 1, id: 'b' },
      { ...exited, exitCode: '3' },
      { type: 'network-connected', network: 'n', id: 'b' },
    ]) {
      assert.equal(parseEvent(wrong), undefined, JSON.stringify(wrong));
    }
  });

  it('is limited in rate', () => {
    const seen: ContainerEvent[] = [];
    const events = new AgentEvents((event) => seen.push(event));
    for (let i = 0; i < 20_000; i++) events.onEvent({ type: 'network-created', network: 'n', id: 'i' });
    assert.ok(seen.length >= 4000 && seen.length < 15_000, `${seen.length} events`);
  });

  it('is rejected as a trace unless it has the form of one', async () => {
    const valid = { tried: [{ ip: '127.0.0.1', error: '' }], listening: ['::'], entersNetns: false };
    let asked = 0;
    const traces = new AgentTraces((message) => {
      asked = 'id' in message ? Number(message.id) : 0;
    });
    const answer = (result: unknown) => {
      const trace = traces.ask(Buffer.of(1), 80);
      traces.onAnswer({ type: 'traced', id: asked + 1, result: valid });
      traces.onAnswer({ type: 'traced', id: asked, result });
      return trace;
    };
    assert.deepEqual(await answer(valid), valid);
    for (const wrong of [
      undefined,
      { ...valid, tried: [{ ip: 'evil\u001b', error: '' }] },
      { ...valid, tried: [{ ip: '127.0.0.1', error: 'no such luck' }] },
      { ...valid, listening: Array(99).fill('::1') },
      { tried: [], listening: [] },
    ]) {
      await assert.rejects(answer(wrong), { message: 'the agent could not trace the port' });
    }
    const lost = traces.ask(Buffer.of(1), 80);
    traces.failAll('its end was closed');
    await assert.rejects(lost, { message: 'the agent was lost (its end was closed)' });
    const many = Array.from({ length: 17 }, () => traces.ask(Buffer.of(1), 80));
    await assert.rejects(many.at(-1) ?? assert.fail(), { message: /^too many ports are traced/ });
    traces.failAll('');
    await Promise.allSettled(many);
  });
});

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { waitFor } from '../../../support/index.js';
import { FAKE_INFO, type FakeStack, startFakeStack } from '../../../support/stacks/fake-stack.js';
import { type Answer, ask, assertRefused, exchange, subscribe } from './raw-requests.js';

describe('API server', () => {
  let stack: FakeStack;
  beforeEach(async () => {
    stack = await startFakeStack();
  });
  afterEach(() => stack.close());
  const refused = (method: string, path: string, body: string | undefined, status: number, message: RegExp) =>
    assertRefused(stack, [method, path, body], status, message);

  describe('GET /v1/events', () => {
    const opened = { type: 'connection-opened', port: 1, connection: 7, client: '127.0.0.1:5555' } as const;

    it('begins with the state of the driver and continues with what happens', async () => {
      const { socket, frames } = await subscribe(stack);
      await waitFor(() => frames.length === 1, { what: 'the first event' });
      stack.events.emit(opened);
      await waitFor(() => frames.length === 2, { what: 'the second event' });
      const [first, second] = frames as [{ time: number }, { time: number }];
      assert.deepEqual(first, { time: first.time, type: 'driver-state', driver: 'builtin', state: 'ready' });
      assert.deepEqual(second, { time: second.time, ...opened });
      assert(Math.abs(Date.now() - second.time) < 60_000, 'time is in ms since the epoch');
      socket.terminate();
    });

    it('is sent to every subscriber, and costs nothing without one', async () => {
      const watched: boolean[] = [];
      stack.events.onWatched = (wanted) => watched.push(wanted);
      const subscribers = await Promise.all([subscribe(stack), subscribe(stack)]);
      stack.events.emit(opened);
      await waitFor(() => subscribers.every(({ frames }) => frames.length === 2), { what: 'two events each' });
      for (const { socket } of subscribers) socket.close();
      await waitFor(() => watched.length === 2, { what: 'the end of the subscription' });
      assert.deepEqual(watched, [true, false]);
    });

    it('reports no driver if there is none', async () => {
      await stack.close();
      stack = await startFakeStack({ ports: undefined });
      const { socket, frames } = await subscribe(stack);
      stack.events.emit({ type: 'driver-state', driver: 'x', state: 'stopped' });
      await waitFor(() => frames.length > 0, { what: 'an event' });
      assert.equal((frames[0] as { driver: string }).driver, 'x');
      socket.terminate();
    });

    it('drops a subscriber that does not read', async () => {
      const lazy = await subscribe(stack);
      const eager = await subscribe(stack);
      lazy.socket.pause();
      const reason = 'x'.repeat(64 * 1024);
      let count = 0;
      for (let batch = 0; batch < 10; batch++) {
        for (let event = 0; event < 20; event++, count++) {
          stack.events.emit({ type: 'connection-refused', port: 1, connection: count, client: 'x', reason });
        }
        await waitFor(() => eager.frames.length === count + 1, { what: `event ${count}` });
      }
      lazy.socket.resume();
      assert.equal(await lazy.closed, 1013);
      assert(lazy.frames.length < 200, `${lazy.frames.length} events were kept for it`);
      eager.socket.terminate();
    });

    it('drops a subscriber that violates the protocol or sends too much, and continues', async () => {
      const talker = await subscribe(stack);
      talker.socket.send('x'.repeat(100_000));
      assert.equal(await talker.closed, 1009);
      const socket = connect(stack.socketPath);
      socket.write(
        'GET /v1/events HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
          'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
      );
      socket.once('data', () => socket.write(Buffer.alloc(100, 0xff)));
      await new Promise((resolve) => socket.once('close', resolve));
      const { socket: good, frames } = await subscribe(stack);
      await waitFor(() => frames.length === 1, { what: 'the first event' });
      good.terminate();
    });

    it('leaves an offer of another protocol alone', async () => {
      const head = 'GET /v1/info HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n';
      const { status, body } = await exchange(stack.socketPath, head);
      assert.deepEqual([status, JSON.parse(body)], [200, FAKE_INFO]);
    });

    it('reports what is wrong with an invalid request', async () => {
      for (const [bytes, status, message] of [
        [
          `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
          431,
          'the URL and headers of the request are longer than 16 KiB',
        ],
        ['nonsense\r\n\r\n', 400, 'the request is not HTTP'],
      ] as const) {
        const answer = await exchange(stack.socketPath, bytes);
        assert.deepEqual([answer.status, JSON.parse(answer.body).message], [status, message]);
      }
    });

    it('requires a WebSocket', async () => {
      await refused('GET', '/v1/events', undefined, 426, /^expected a WebSocket$/);
      assert.equal((await ask(stack, 'POST', '/v1/events', '{}')).status, 405);
      const upgrade = (path: string): Promise<Answer> =>
        exchange(
          stack.socketPath,
          `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
        );
      const { status, body } = await upgrade('/v1/info');
      assert.deepEqual([status, body], [404, '{"message":"/v1/info is not a WebSocket","code":"not-found"}\n']);
      const stream = await upgrade('/v1/containers/x/attach');
      assert.equal(stream.status, 404);
      assert.match(stream.body, /^\{"message":"this stack runs no containers","code":"no-containers"/);
      assert.equal((await upgrade('/v1/events')).status, 400, 'no key');
    });
  });
});

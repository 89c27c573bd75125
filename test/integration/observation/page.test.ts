import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { WebSocket } from 'ws';
import { binPath, freePort, type RunningStack, run, startStack, waitFor } from '../../support/index.js';

/** What `/live` sends, as far as the test reads it. */
interface Message {
  type: string;
  reason?: string;
  ports?: { id: number; counters: { refused: number } }[];
}

describe('the page of a stack', function () {
  this.timeout(60_000);
  let stack: RunningStack;
  let port: number;
  let token: string;
  before(async () => {
    port = await freePort('127.0.0.1');
    stack = await startStack({ args: ['--net=none', `--ui=127.0.0.1:${port}`] });
    token = /#token=([\w-]{24})\n/.exec(stack.started.output())?.[1] ?? assert.fail(stack.started.output());
  });
  after(() => stack[Symbol.asyncDispose]());

  const open = (request: { shown?: string; from?: string; host?: string; path?: string } = {}) => {
    const own = `127.0.0.1:${port}`;
    const { shown = token, from = `http://${own}`, host = own, path = '/live' } = request;
    return new WebSocket(`ws://${own}${path}`, ['rootless-net', `token.${shown}`], { origin: from, headers: { host } });
  };
  const statusOf = async (socket: WebSocket): Promise<number> => {
    // Its end is one.
    socket.on('error', () => {});
    const [, response] = await once(socket, 'unexpected-response');
    socket.terminate();
    return response.statusCode as number;
  };

  it('is three files that load no others', async () => {
    for (const [path, type] of [
      ['/', 'text/html'],
      ['/page.css', 'text/css'],
      ['/page.js', 'text/javascript'],
      ['/picture.js', 'text/javascript'],
    ] as const) {
      const response = await fetch(`http://127.0.0.1:${port}${path}`);
      assert.equal(response.status, 200);
      assert.match(response.headers.get('content-type') ?? '', new RegExp(`^${type};`));
      assert.match(
        response.headers.get('content-security-policy') ?? '',
        /^default-src 'none'; script-src 'self'; .*frame-ancestors 'none'$/,
      );
      assert.doesNotMatch(await response.text(), /https?:\/\/(?!www\.w3\.org\/2000\/svg)|innerHTML/);
    }
    for (const path of ['/index.html', '/%2e%2e/ui-server.js', '/v1/ports', '/metrics']) {
      assert.equal((await fetch(`http://127.0.0.1:${port}${path}`)).status, 404, path);
    }
  });

  it('gets snapshots and refusals with the token', async () => {
    const { id, host, port: published } = await stack.publish('127.0.0.1:0:8080');
    const socket = open();
    const messages: Message[] = [];
    socket.on('message', (data) => messages.push(JSON.parse(data.toString())));
    try {
      await waitFor(() => messages.some(({ ports }) => ports?.some((one) => one.id === id)), { what: 'a snapshot' });
      await once(connect(published, host), 'close').catch(() => {});
      const refusal = await waitFor(() => messages.find(({ type }) => type === 'connection-refused'));
      assert.match(refusal.reason ?? '', /refused/i);
      await waitFor(() => messages.at(-1)?.ports?.find((one) => one.id === id)?.counters.refused === 1);
      assert.ok(!messages.some(({ type }) => type === 'connection-opened'));
    } finally {
      socket.terminate();
    }
  });

  it('shows nothing to other pages, other names, and without the token', async () => {
    const wrong = `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`;
    for (const request of [
      { shown: '' },
      { shown: wrong },
      { from: 'http://evil.example' },
      { from: `http://localhost:${port}` },
      { host: `evil.example:${port}`, from: `http://evil.example:${port}` },
      { path: '/v1/events' },
    ]) {
      assert.equal(await statusOf(open(request)), 403, JSON.stringify(request));
    }
    const bare = new WebSocket(`ws://127.0.0.1:${port}/live`, { origin: `http://127.0.0.1:${port}` });
    assert.equal(await statusOf(bare), 403);
  });

  it('is served on loopback only', async () => {
    const { code, stderr } = await run(binPath('rootless-run'), ['--ui=0.0.0.0:8081', '--net=none', '--', 'true']);
    assert.equal(code, 125);
    assert.match(stderr, /^rootless-run: error: invalid --ui "0.0.0.0:8081": expected a loopback address/);
  });
});

import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { waitFor } from '../../../support/index.js';
import { FAKE_INFO, type FakeStack, startFakeStack } from '../../../support/stacks/fake-stack.js';
import { ask, exchange, subscribe } from './raw-requests.js';

describe('API server', () => {
  let stack: FakeStack;
  beforeEach(async () => {
    stack = await startFakeStack();
  });
  afterEach(() => stack.close());

  it('has a socket of mode 0755, whatever the umask is', () => {
    assert.equal(statSync(stack.socketPath).mode & 0o7777, 0o755);
  });

  describe('GET /v1/info', () => {
    it('answers with what the stack is made of', async () => {
      const { status, headers, body } = await ask(stack, 'GET', '/v1/info');
      assert.equal(status, 200);
      assert.equal(headers.get('content-type'), 'application/json');
      assert.equal(body, JSON.stringify(FAKE_INFO));
    });
    it('accepts any host, and the form of requests to a proxy', async () => {
      const head = 'GET http://rootlesskit/v1/info HTTP/1.1\r\nHost: else\r\nConnection: close\r\n\r\n';
      assert.equal((await exchange(stack.socketPath, head)).status, 200);
    });
    it('answers 500 and logs when the stack cannot answer', async () => {
      await using broken = await startFakeStack({
        info: () => {
          throw new Error('no such\nthing');
        },
      });
      const { status, body } = await ask(broken, 'GET', '/v1/info');
      assert.equal(status, 500);
      assert.equal(body, '{"message":"internal error: no such","code":"internal"}\n');
      assert.match(broken.log.join('\n'), /internal error in an API request: Error: no such/);
    });
  });

  describe('GET /v1/flows', () => {
    it('answers with as many as requested', async () => {
      const limits: number[] = [];
      await using other = await startFakeStack({
        flows: async (most) => {
          limits.push(most);
          return [];
        },
      });
      for (const path of ['/v1/flows', '/v1/flows?limit=5']) {
        const { status, body } = await ask(other, 'GET', path);
        assert.deepEqual([status, body], [200, '[]']);
      }
      assert.deepEqual(limits, [1000, 5]);
    });
    it('answers with none where the stack lists none', async () => {
      assert.equal((await ask(stack, 'GET', '/v1/flows')).body, '[]');
    });
    it('refuses other limits', async () => {
      for (const limit of ['0', '-1', 'x', '', '100001']) {
        const { status, body } = await ask(stack, 'GET', `/v1/flows?limit=${limit}`);
        assert.equal(status, 400);
        assert.match(body, /invalid limit .*: expected a number from 1 to 100000/);
      }
    });
  });

  it('answers 405 without a body to other methods', async () => {
    for (const [method, path] of [
      ['PUT', '/v1/ports'],
      ['DELETE', '/v1/ports'],
      ['POST', '/v1/info'],
      ['GET', '/v1/ports/1'],
    ] as const) {
      const { status, body } = await ask(stack, method, path);
      assert.deepEqual([status, body], [405, ''], `${method} ${path}`);
    }
    assert.equal((await ask(stack, 'HEAD', '/v1/ports')).status, 405);
  });

  it('answers 404 to other paths', async () => {
    for (const path of [
      '/',
      '/v1',
      '/v1/ports/',
      '/v1/ports/1/2',
      '/v2/info',
      '//v1/info',
      '*',
      '/%',
      '/constructor',
    ]) {
      const { status, body, headers } = await ask(stack, 'GET', path);
      assert.deepEqual([status, body], [404, '404 page not found\n'], path);
      assert.equal(headers.get('content-type'), 'text/plain; charset=utf-8');
    }
    assert.equal((await ask(stack, 'constructor', '/v1/info')).status, 400, 'a method that HTTP does not have');
  });

  it('survives what is not HTTP', async () => {
    assert.equal((await exchange(stack.socketPath, 'hello\r\n\r\n')).status, 400);
    // More than a header may have, and less than the socket takes at once: the rest would meet a closed connection.
    assert.equal((await exchange(stack.socketPath, Buffer.alloc(64 * 1024, 'x'))).status, 400);
    assert.equal((await ask(stack, 'GET', '/v1/info')).status, 200);
  });

  it('keeps a connection for several requests', async () => {
    const socket = connect(stack.socketPath);
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString();
    });
    for (let requests = 1; requests <= 3; requests++) {
      socket.write('GET /v1/ports HTTP/1.1\r\nHost: x\r\n\r\n');
      await waitFor(() => text.split('null').length > requests, { what: `answer ${requests}` });
    }
    socket.destroy();
  });

  describe('its end', () => {
    it('may begin with refusing new clients, while those that are there have their answers', async () => {
      const socket = connect(stack.socketPath);
      socket.write('GET /v1/info HTTP/1.1\r\nHost: x\r\n\r\n');
      await new Promise((resolve) => socket.once('data', resolve));
      stack.server.stopListening();
      assert.equal(existsSync(stack.socketPath), false);
      socket.write('GET /v1/info HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
      const chunks: Buffer[] = [];
      for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
      assert.match(Buffer.concat(chunks).toString(), /^HTTP\/1.1 200 OK/);
      await stack.server.listenAgain();
      assert.equal(existsSync(stack.socketPath), false);
    });

    it('closes connections and streams, and removes the socket', async () => {
      const idle: Socket = connect(stack.socketPath);
      idle.write('GET /v1/ports HTTP/1.1\r\nHost: x\r\n\r\n');
      await new Promise((resolve) => idle.once('data', resolve));
      const torn = connect(stack.socketPath);
      torn.write('POST /v1/ports HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{');
      const ended = [idle, torn].map(
        (socket) => new Promise((resolve) => socket.on('error', () => {}).once('close', resolve)),
      );
      const { closed } = await subscribe(stack);
      await stack.close();
      assert.equal(existsSync(stack.socketPath), false);
      assert.equal(await closed, 1001);
      await Promise.all(ended);
      await stack.close();
    });

    it('does not wait for a subscriber that was dropped and reads nothing', async () => {
      const { socket } = await subscribe(stack);
      socket.pause();
      const reason = 'x'.repeat(64 * 1024);
      for (let count = 0; count < 200; count++) {
        stack.events.emit({ type: 'connection-refused', port: 1, connection: count, client: 'x', reason });
      }
      await stack.close();
      socket.terminate();
    });
  });
});

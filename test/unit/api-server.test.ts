import assert from 'node:assert/strict';
import { existsSync, mkdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import WebSocket from 'ws';
import { startAPIServer } from '../../parent/api/server.js';
import { APISocketError } from '../../parent/api/socket.js';
import { EventBus } from '../../parent/events.js';
import { FAKE_INFO, type FakeStack, startFakeStack } from '../support/fake-stack.js';
import { tempDir, waitFor } from '../support/index.js';

interface Answer {
  status: number;
  headers: Map<string, string>;
  body: string;
}

/** Sends bytes and reads until the server closes, as `Connection: close` makes it do. */
async function exchange(socketPath: string, bytes: string | Buffer): Promise<Answer> {
  const socket = connect(socketPath);
  socket.write(bytes);
  const chunks: Buffer[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  const split = text.indexOf('\r\n\r\n');
  const [statusLine = '', ...lines] = text.slice(0, split).split('\r\n');
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  return { status: Number(statusLine.split(' ')[1]), headers: new Map(headers), body: text.slice(split + 4) };
}

function ask(stack: FakeStack, method: string, path: string, body?: string): Promise<Answer> {
  const length = body === undefined ? '' : `Content-Length: ${Buffer.byteLength(body)}\r\n`;
  const head = `${method} ${path} HTTP/1.1\r\nHost: rootlesskit\r\nConnection: close\r\n${length}\r\n`;
  return exchange(stack.socketPath, head + (body ?? ''));
}

/** A subscriber of the event stream, opened, with the frames that it got. */
async function subscribe(stack: FakeStack): Promise<{ socket: WebSocket; frames: unknown[]; closed: Promise<number> }> {
  const socket = new WebSocket('ws://stack/v1/events', { createConnection: () => connect(stack.socketPath) });
  const frames: unknown[] = [];
  socket.on('message', (data, isBinary) => {
    assert.equal(isBinary, false);
    frames.push(JSON.parse(data.toString()));
  });
  const closed = new Promise<number>((resolve) => socket.once('close', resolve));
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  return { socket, frames, closed };
}

const WEB = '{"proto":"tcp","parentIP":"127.0.0.2","parentPort":8080,"childPort":80}';

describe('API server', () => {
  let stack: FakeStack;
  beforeEach(async () => {
    stack = await startFakeStack();
  });
  afterEach(() => stack.close());

  async function refused(method: string, path: string, body: string | undefined, status: number, message: RegExp) {
    const answer = await ask(stack, method, path, body);
    assert.equal(answer.status, status, answer.body);
    assert.equal(answer.headers.get('content-type'), 'application/json');
    assert.match(answer.body, /^\{"message":"[^\n]*"\}\n$/);
    assert.match((JSON.parse(answer.body) as { message: string }).message, message);
  }

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
    it('takes any host, and the form of requests to a proxy', async () => {
      const head = 'GET http://rootlesskit/v1/info HTTP/1.1\r\nHost: else\r\nConnection: close\r\n\r\n';
      assert.equal((await exchange(stack.socketPath, head)).status, 200);
    });
    it('answers 500 and logs when the stack cannot tell', async () => {
      await using broken = await startFakeStack({
        info: () => {
          throw new Error('no such\nthing');
        },
      });
      const { status, body } = await ask(broken, 'GET', '/v1/info');
      assert.equal(status, 500);
      assert.equal(body, '{"message":"internal error: no such thing"}\n');
      assert.match(broken.log.join('\n'), /internal error in an API request: Error: no such/);
    });
  });

  describe('ports', () => {
    it('are null while there are none', async () => {
      const { status, body } = await ask(stack, 'GET', '/v1/ports');
      assert.deepEqual([status, body], [200, 'null']);
    });

    it('are added, listed and removed', async () => {
      const added = await ask(stack, 'POST', '/v1/ports', WEB);
      assert.deepEqual([added.status, added.body], [201, `{"id":1,"spec":${WEB}}`]);
      assert.equal(added.headers.get('content-type'), 'application/json');
      assert.equal((await ask(stack, 'GET', '/v1/ports')).body, `[{"id":1,"spec":${WEB}}]`);
      const removed = await ask(stack, 'DELETE', '/v1/ports/1');
      assert.deepEqual([removed.status, removed.body], [200, '']);
      assert.equal((await ask(stack, 'GET', '/v1/ports')).body, 'null');
    });

    it('come with the port that was taken for 0', async () => {
      const { body } = await ask(stack, 'POST', '/v1/ports', '{"proto":"tcp","childPort":80}');
      assert.equal(body, '{"id":1,"spec":{"proto":"tcp","parentPort":40001,"childPort":80}}');
    });

    it('come with listener and counters when asked', async () => {
      await ask(stack, 'POST', '/v1/ports', WEB);
      await ask(stack, 'POST', '/v1/ports', WEB.replace('8080', '8081'));
      const counters = { open: 1, opened: 2, refused: 3, bytesIn: 4, bytesOut: 5 };
      stack.ports.reports.set(1, { listener: { state: 'listening' }, counters });
      const { body } = await ask(stack, 'GET', '/v1/ports?counters=true');
      assert.deepEqual(JSON.parse(body), [
        { id: 1, spec: JSON.parse(WEB), listener: { state: 'listening' }, counters },
        { id: 2, spec: { ...JSON.parse(WEB), parentPort: 8081 } },
      ]);
    });

    it('say so when they do not listen, unasked', async () => {
      await ask(stack, 'POST', '/v1/ports', WEB);
      await ask(stack, 'POST', '/v1/ports', WEB.replace('8080', '8081'));
      const counters = { open: 0, opened: 0, refused: 0, bytesIn: 0, bytesOut: 0 };
      const listener = { state: 'waiting', reason: 'out of file descriptors' } as const;
      stack.ports.reports.set(1, { listener: { state: 'listening' }, counters });
      stack.ports.reports.set(2, { listener, counters });
      assert.deepEqual(JSON.parse((await ask(stack, 'GET', '/v1/ports')).body), [
        { id: 1, spec: JSON.parse(WEB) },
        { id: 2, spec: { ...JSON.parse(WEB), parentPort: 8081 }, listener },
      ]);
    });

    it('are refused with the reason of the driver', async () => {
      await ask(stack, 'POST', '/v1/ports', WEB);
      await refused('POST', '/v1/ports', WEB, 400, /^conflict with ID 1$/);
      await refused('POST', '/v1/ports', WEB.replace('8080', '80'), 400, /^cannot expose privileged port 80$/);
      await refused('POST', '/v1/ports', WEB.replace('tcp', 'sctp'), 400, /^unsupported port protocol sctp$/);
      assert.deepEqual(stack.log, []);
    });

    const bodies: [what: string, body: string, message: RegExp][] = [
      ['no body', '', /^request body is empty; expected a JSON object$/],
      ['text', 'xx', /^request body is not JSON: /],
      ['torn JSON', WEB.slice(0, -1), /^request body is not JSON: /],
      ['JSON with line breaks, torn', '{\n"proto":\n\n', /^request body is not JSON: /],
      ['bytes that are not UTF-8', '\xff\xfe', /^request body is not JSON: /],
      ['null', 'null', /null is not an object/],
      ['an array', `[${WEB}]`, /is not an object/],
      ['no ports', '{"proto":"tcp"}', /child port 0/],
      ['a wrong type', WEB.replace('8080', '"8080"'), /parentPort "8080" is not a whole number/],
      ['an unknown protocol', WEB.replace('tcp', 'TCP'), /unknown proto "TCP"/],
      ['a wrong address', WEB.replace('127.0.0.2', '<a&b>'), /parent IP "<a&b>" is not an IP address/],
    ];
    for (const [what, body, message] of bodies) {
      it(`are refused for ${what}`, () => refused('POST', '/v1/ports', body, 400, message));
    }

    it('escape in errors what Go escapes', async () => {
      const { body } = await ask(stack, 'POST', '/v1/ports', WEB.replace('127.0.0.2', '<a&b>'));
      assert.match(body, /\\u003ca\\u0026b\\u003e/);
    });

    it('are refused for a body that is too large, which is read to its end', async () => {
      const body = `${WEB.slice(0, -1)},"x":"${'x'.repeat(1024 * 1024)}"}`;
      await refused('POST', '/v1/ports', body, 413, /^request body is larger than 65536 bytes$/);
      const chunk = Buffer.alloc(65536, 'x');
      const head = 'POST /v1/ports HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n';
      const chunks = Array.from({ length: 20 }, () =>
        Buffer.concat([Buffer.from('10000\r\n'), chunk, Buffer.from('\r\n')]),
      );
      const answer = await exchange(
        stack.socketPath,
        Buffer.concat([Buffer.from(head), ...chunks, Buffer.from('0\r\n\r\n')]),
      );
      assert.equal(answer.status, 413);
    });

    it('are not added by a client that goes away in the middle of its body', async () => {
      const socket = connect(stack.socketPath);
      socket.write('POST /v1/ports HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"proto"', () =>
        socket.destroy(),
      );
      await new Promise((resolve) => socket.once('close', resolve));
      assert.equal((await ask(stack, 'GET', '/v1/ports')).body, 'null');
      assert.deepEqual(stack.log, []);
    });

    it('are not removed by an id that there is not', async () => {
      await refused('DELETE', '/v1/ports/99', undefined, 400, /^unknown id: 99$/);
      await refused('DELETE', '/v1/ports/-1', undefined, 400, /^unknown id: -1$/);
      await refused('DELETE', '/v1/ports/abc', undefined, 400, /^bad id abc: not a number$/);
      await refused('DELETE', '/v1/ports/1e3', undefined, 400, /^bad id 1e3: not a number$/);
      await refused('DELETE', `/v1/ports/${'9'.repeat(30)}`, undefined, 400, /^bad id 9+: not a number$/);
    });

    it('answer 500 and log when the driver breaks', async () => {
      for (const [method, path, body] of [
        ['GET', '/v1/ports'],
        ['POST', '/v1/ports', WEB],
        ['DELETE', '/v1/ports/1'],
      ] as const) {
        stack.ports.failure = new TypeError('x is undefined');
        await refused(method, path, body, 500, /^internal error: x is undefined$/);
      }
      assert.equal(stack.log.length, 3);
    });

    it('answer 400 where there is no port driver', async () => {
      await stack.close();
      stack = await startFakeStack({ ports: undefined });
      await refused('GET', '/v1/ports', undefined, 400, /^no PortDriver is available$/);
      await refused('POST', '/v1/ports', WEB, 400, /^no PortDriver is available$/);
      await refused('DELETE', '/v1/ports/1', undefined, 400, /^no PortDriver is available$/);
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

  describe('GET /v1/events', () => {
    const opened = { type: 'connection-opened', port: 1, connection: 7, client: '127.0.0.1:5555' } as const;

    it('begins with the state of the driver and goes on with what happens', async () => {
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

    it('goes to every subscriber, and costs nothing when there is none', async () => {
      const watched: boolean[] = [];
      stack.events.onWatched = (wanted) => watched.push(wanted);
      const subscribers = await Promise.all([subscribe(stack), subscribe(stack)]);
      stack.events.emit(opened);
      await waitFor(() => subscribers.every(({ frames }) => frames.length === 2), { what: 'two events each' });
      for (const { socket } of subscribers) socket.close();
      await waitFor(() => watched.length === 2, { what: 'the end of the subscription' });
      assert.deepEqual(watched, [true, false]);
    });

    it('has no driver to speak of where there is none', async () => {
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

    it('drops a subscriber that breaks the protocol or talks at length, and goes on', async () => {
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

    it('wants a WebSocket', async () => {
      await refused('GET', '/v1/events', undefined, 426, /^expected a WebSocket$/);
      assert.equal((await ask(stack, 'POST', '/v1/events', '{}')).status, 405);
      const upgrade = (path: string): Promise<Answer> =>
        exchange(
          stack.socketPath,
          `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
        );
      assert.equal((await upgrade('/v1/info')).status, 404);
      assert.equal((await upgrade('/v1/events')).status, 400, 'no key');
    });
  });

  describe('its end', () => {
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

describe('API socket', () => {
  const options = { info: () => FAKE_INFO, ports: undefined, events: new EventBus() };

  async function refusal(socketPath: string): Promise<string> {
    try {
      await (await startAPIServer({ ...options, socketPath })).close();
    } catch (error) {
      assert(error instanceof APISocketError, String(error));
      assert.equal(error.socketPath, socketPath);
      assert.doesNotMatch(error.message, /\n/);
      return error.message;
    }
    assert.fail('it started');
  }

  it('may have a path of 107 bytes and no more', async () => {
    const directory = tempDir();
    const fits = join(directory, 'x'.repeat(107 - directory.length - 1));
    await (await startAPIServer({ ...options, socketPath: fits })).close();
    assert.match(
      await refusal(`${fits}x`),
      /too long \(108 bytes, UNIX sockets allow 107\): .*; use a shorter --state-dir$/,
    );
    assert.match(await refusal(join(directory, 'ä'.repeat(50))), /too long/);
  });

  it('is not made where it cannot be', async () => {
    const directory = tempDir();
    assert.match(
      await refusal(join(directory, 'no', 'api.sock')),
      /cannot make the API socket .*no\/api\.sock: its directory is missing/,
    );
    mkdirSync(join(directory, 'api.sock'));
    assert.match(await refusal(join(directory, 'api.sock')), /cannot make the API socket/);
  });

  it('is not taken from another stack', async () => {
    await using stack = await startFakeStack();
    assert.match(await refusal(stack.socketPath), /is in use by another stack$/);
    assert.equal((await ask(stack, 'GET', '/v1/info')).status, 200);
  });

  it('replaces one that a killed stack left behind', async () => {
    const socketPath = join(tempDir(), 'api.sock');
    // Closing a listener removes its socket, but not from where somebody moved it.
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(`${socketPath}.old`, resolve));
    renameSync(`${socketPath}.old`, socketPath);
    await new Promise((resolve) => server.close(resolve));
    assert(existsSync(socketPath));
    const stack = await startAPIServer({ ...options, socketPath });
    await stack.close();
    assert.equal(existsSync(socketPath), false);
  });

  it('does not replace a file', async () => {
    const socketPath = join(tempDir(), 'api.sock');
    writeFileSync(socketPath, 'precious');
    assert.match(await refusal(socketPath), /there is something else$/);
    assert(existsSync(socketPath));
  });
});

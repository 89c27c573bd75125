import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { WebSocketServer } from 'ws';
import { APIError, EventStreamError, StackClient, StackUnreachableError } from '../../parent/api/client.js';
import type { StackEvent } from '../../protocol/api.js';
import { FAKE_INFO, type FakeStack, startFakeStack } from '../support/fake-stack.js';
import { tempDir, waitFor } from '../support/index.js';

const WEB = { proto: 'tcp', parentIP: '127.0.0.2', parentPort: 8080, childPort: 80 };

/** A server on a socket that answers every request in one way. */
async function answering(
  answer: (response: ServerResponse) => void,
): Promise<AsyncDisposable & { client: StackClient; server: Server }> {
  const socketPath = join(tempDir(), 'api.sock');
  const server = createServer((_request, response) => answer(response));
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { client: new StackClient(socketPath), server, [Symbol.asyncDispose]: close };
}

describe('API client', () => {
  let stack: FakeStack;
  let client: StackClient;
  beforeEach(async () => {
    stack = await startFakeStack();
    client = new StackClient(stack.socketPath);
  });
  afterEach(() => stack.close());

  it('asks for info', async () => {
    assert.deepEqual(await client.info(), FAKE_INFO);
  });

  it('adds, lists and removes ports', async () => {
    assert.deepEqual(await client.listPorts(), []);
    assert.deepEqual(await client.addPort(WEB), { id: 1, spec: WEB });
    assert.deepEqual(await client.listPorts(), [{ id: 1, spec: WEB }]);
    const counters = { open: 0, opened: 1, refused: 0, bytesIn: 10, bytesOut: 20 };
    stack.ports.reports.set(1, { listener: { state: 'listening' }, counters });
    assert.deepEqual(await client.listPorts({ counters: true }), [
      { id: 1, spec: WEB, listener: { state: 'listening' }, counters },
    ]);
    await client.removePort(1);
    assert.deepEqual(await client.listPorts(), []);
  });

  it('passes on why the stack refuses', async () => {
    await client.addPort(WEB);
    await assert.rejects(client.addPort(WEB), (error) => {
      assert(error instanceof APIError);
      assert.deepEqual([error.status, error.message], [400, 'conflict with ID 1']);
      return true;
    });
    await assert.rejects(client.removePort(9), { name: 'APIError', status: 400, message: 'unknown id: 9' });
  });

  it('makes errors of answers that are not those of a stack', async () => {
    await using text = await answering((response) => response.writeHead(500).end('out of order\n'));
    await assert.rejects(text.client.info(), { name: 'APIError', status: 500, message: 'out of order' });
    await using empty = await answering((response) => response.writeHead(405).end());
    await assert.rejects(empty.client.info(), { name: 'APIError', status: 405, message: 'HTTP status 405' });
    await using html = await answering((response) => response.end('<html>'));
    await assert.rejects(html.client.info(), { name: 'APIError', message: 'answer to GET /v1/info is not JSON' });
    await using list = await answering((response) => response.end('[]'));
    await assert.rejects(list.client.info(), { name: 'APIError', message: 'unexpected answer: []' });
    await using object = await answering((response) => response.end('{}'));
    await assert.rejects(object.client.listPorts(), { name: 'APIError', message: 'unexpected answer: {}' });
  });

  describe('without a stack', () => {
    async function unreachable(socketPath: string, code: string, message: RegExp): Promise<void> {
      const lost = new StackClient(socketPath);
      const check = (error: unknown): true => {
        assert(error instanceof StackUnreachableError, String(error));
        assert.deepEqual([error.socketPath, error.code], [socketPath, code]);
        assert(error.message.includes(socketPath));
        assert.match(error.message, message);
        return true;
      };
      await assert.rejects(lost.info(), check);
      await assert.rejects(lost.events().next(), check);
    }

    it('says that there is no socket', () =>
      unreachable(
        join(tempDir(), 'api.sock'),
        'ENOENT',
        /^no stack at .*: there is no such socket; is the stack running/,
      ));

    it('says that nobody listens', async () => {
      const file = join(tempDir(), 'api.sock');
      writeFileSync(file, '');
      await unreachable(file, 'ECONNREFUSED', /nobody listens there/);
    });

    it('says that access is denied', () => {
      // Root is denied nothing, so no socket can be made that tests this for everybody.
      const { message } = new StackUnreachableError('/s/api.sock', 'EACCES');
      assert.match(
        message,
        /^no access to the stack at \/s\/api\.sock: permission denied; be the user who started it$/,
      );
    });

    it('says that the stack went away before it answered', async () => {
      await using torn = await answering((response) => response.destroy());
      await assert.rejects(torn.client.info(), { name: 'StackUnreachableError', code: 'ECONNRESET' });
      await using half = await answering((response) => {
        response.writeHead(200, { 'Content-Length': 100 });
        response.write('{', () => response.destroy());
      });
      await assert.rejects(half.client.info(), { name: 'StackUnreachableError', code: 'ECONNRESET' });
    });
  });

  describe('events', () => {
    it('come as they happen, until the stack ends', async () => {
      const types: string[] = [];
      for await (const event of client.events()) {
        types.push(event.type);
        if (event.type === 'driver-state') stack.events.emit({ type: 'port-added', id: 1, spec: WEB });
        if (event.type === 'port-added') await stack.close();
      }
      assert.deepEqual(types, ['driver-state', 'port-added']);
    });

    it('wait for a slow reader, and none is lost', async () => {
      const stream = client.events();
      await stream.next();
      const total = 5000;
      for (let id = 1; id <= total; id++) stack.events.emit({ type: 'port-added', id, spec: WEB });
      for (let id = 1; id <= total; id++) {
        const { value } = await stream.next();
        assert.equal(value?.type === 'port-added' && value.id, id);
      }
      await stream.return();
    });

    it('end when the reader leaves', async () => {
      const watched: boolean[] = [];
      stack.events.onWatched = (wanted) => watched.push(wanted);
      for await (const event of client.events()) {
        assert.equal(event.type, 'driver-state');
        break;
      }
      await waitFor(() => watched.length === 2, { what: 'the end of the subscription' });
      assert.deepEqual(watched, [true, false]);
    });

    it('end quietly when the signal aborts', async () => {
      assert.deepEqual(await collect(client.events({ signal: AbortSignal.abort() })), []);
      const abort = new AbortController();
      const stream = client.events({ signal: abort.signal });
      await stream.next();
      const next = stream.next();
      abort.abort();
      assert.equal((await next).done, true);
    });

    it('end with an error when they are cut off', async () => {
      await using other = await answering((response) => response.end());
      const sockets = new WebSocketServer({ noServer: true });
      let frame = '';
      other.server.on('upgrade', (request, socket, head) => {
        sockets.handleUpgrade(request, socket, head, (webSocket) => {
          if (frame) webSocket.send(frame);
          else webSocket.terminate();
        });
      });
      await assert.rejects(other.client.events().next(), (error) => {
        assert(error instanceof EventStreamError);
        assert.deepEqual([error.code, error.message], [1006, 'event stream was cut off: the stack was killed']);
        return true;
      });
      frame = 'xx';
      await assert.rejects(other.client.events().next(), { name: 'EventStreamError', code: 1007 });
    });

    it('are not to be had from a stack that has no event stream', async () => {
      await using old = await answering((response) => response.writeHead(404).end('404 page not found\n'));
      await assert.rejects(old.client.events().next(), {
        name: 'APIError',
        status: 404,
        message: 'this stack has no event stream',
      });
    });
  });
});

async function collect(events: AsyncIterable<StackEvent>): Promise<StackEvent[]> {
  const collected: StackEvent[] = [];
  for await (const event of events) collected.push(event);
  return collected;
}

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { createServer as createRawServer } from 'node:net';
import { join } from 'node:path';
import { WebSocketServer } from 'ws';
import { ContainerClient } from '../../../../parent/client/container-client.js';
import { APIError, EventStreamError, StackUnreachableError } from '../../../../parent/client/errors.js';
import { StackClient } from '../../../../parent/client/stack-client.js';
import type { StackEvent } from '../../../../protocol/api/types.js';
import { parsePortSpec } from '../../../../protocol/ports/grammar.js';
import { tempDir, waitFor } from '../../../support/index.js';
import { FAKE_INFO, type FakeStack, startFakeStack } from '../../../support/stacks/fake-stack.js';

const web = parsePortSpec('127.0.0.2:8080:80');
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

  it('adds and removes several at a time', async () => {
    const specs = [8080, 8082, 8083, 8085].map((parentPort) => ({ ...WEB, parentPort }));
    const added = await client.addPorts(specs);
    assert.deepEqual(
      added,
      specs.map((spec, index) => ({ id: index + 1, spec })),
    );
    await assert.rejects(client.removePorts([1, 7]), { code: 'no-such-port' });
    await client.removePorts([1, 2, 4]);
    assert.deepEqual(await client.listPorts(), added.slice(2, 3));
    await assert.rejects(client.addPorts([{ ...WEB, parentPort: 8090 }, WEB, WEB]), {
      message: /\(entry 3 of 3, /,
      code: 'port-conflict',
      field: '2',
    });
  });

  for (const text of ['5', '"x"', '[null]', '[{}]', '{}', '{"exitCode":{}}', '[{"id":"a","name":"b","request":{}}]']) {
    it(`refuses an answer that is not of a stack: ${text}`, async () => {
      await using stack = await answering((response) => response.end(text));
      const containers = new ContainerClient(stack.client.socketPath);
      const unexpected = { name: 'APIError', message: /^unexpected answer: / };
      await assert.rejects(stack.client.info(), unexpected);
      await assert.rejects(stack.client.listPorts(), unexpected);
      await assert.rejects(stack.client.addPort(WEB), unexpected);
      await assert.rejects(containers.list(), unexpected);
      await assert.rejects(containers.inspect('x'), unexpected);
      await assert.rejects(containers.networks(), unexpected);
      await assert.rejects(containers.gc(), unexpected);
      await assert.rejects(containers.checkNetwork('x'), unexpected);
    });
  }

  it('reports a server of another protocol', async () => {
    const raw = createRawServer((socket) => {
      socket.on('data', () => socket.end('HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'));
    });
    const socketPath = join(tempDir(), 'api.sock');
    await new Promise<void>((resolve) => raw.listen(socketPath, resolve));
    try {
      await assert.rejects(new StackClient(socketPath).info(), { name: 'StackUnreachableError' });
    } finally {
      raw.close();
    }
  });

  it('gives up a stack that does not answer, or never ends its answer', async () => {
    await using silent = await answering(() => {});
    await using dripping = await answering((response) => {
      const timer = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(timer));
    });
    for (const { client: other } of [silent, dripping]) {
      await assert.rejects(other.call('GET', '/v1/info', undefined, 300), (error) => {
        return (
          error instanceof StackUnreachableError &&
          error.errno === 'ETIMEDOUT' &&
          /does not answer; hint: /.test(error.message)
        );
      });
    }
  });

  it('passes on why the stack refuses', async () => {
    await client.addPort(WEB);
    await assert.rejects(client.addPort(WEB), (error) => {
      assert(error instanceof APIError);
      assert.deepEqual([error.httpStatus, error.message], [400, 'conflict with ID 1']);
      return true;
    });
    await assert.rejects(client.removePort(9), { name: 'APIError', httpStatus: 400, message: 'unknown id: 9' });
  });

  it('makes errors of answers that are not those of a stack', async () => {
    await using text = await answering((response) => response.writeHead(500).end('out of order\n'));
    await assert.rejects(text.client.info(), { name: 'APIError', httpStatus: 500, message: 'out of order' });
    await using empty = await answering((response) => response.writeHead(405).end());
    await assert.rejects(empty.client.info(), { name: 'APIError', httpStatus: 405, message: 'HTTP status 405' });
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
        assert.deepEqual([error.socketPath, error.errno], [socketPath, code]);
        assert(error.message.includes(socketPath));
        assert.match(error.message, message);
        return true;
      };
      await assert.rejects(lost.info(), check);
      await assert.rejects(lost.events().next(), check);
    }

    it('reports that there is no socket', () =>
      unreachable(join(tempDir(), 'api.sock'), 'ENOENT', /^no stack at .*: no such socket; is the stack running/));

    it('reports that nothing listens', async () => {
      const file = join(tempDir(), 'api.sock');
      writeFileSync(file, '');
      await unreachable(file, 'ECONNREFUSED', /no process listens there/);
    });

    it('reports that access is denied', () => {
      // Root is denied nothing, so this cannot be tested as root.
      const { message } = new StackUnreachableError('/s/api.sock', 'EACCES');
      assert.match(
        message,
        /^no access to the stack at \/s\/api\.sock: permission denied; run this as the user who started it$/,
      );
    });

    it('reports that the stack went away before it answered', async () => {
      await using torn = await answering((response) => response.destroy());
      await assert.rejects(torn.client.info(), { name: 'StackUnreachableError', errno: 'ECONNRESET' });
      await using half = await answering((response) => {
        response.writeHead(200, { 'Content-Length': 100 });
        response.write('{', () => response.destroy());
      });
      await assert.rejects(half.client.info(), { name: 'StackUnreachableError', errno: 'ECONNRESET' });
    });
  });

  describe('events', () => {
    it('come as they happen, until the stack ends', async () => {
      const types: string[] = [];
      for await (const event of client.events()) {
        types.push(event.type);
        if (event.type === 'driver-state') stack.events.emit({ type: 'port-added', ports: { id: 1, ...web } });
        if (event.type === 'port-added') await stack.close();
      }
      assert.deepEqual(types, ['driver-state', 'port-added']);
    });

    it('wait for a slow reader, and none is lost', async () => {
      const stream = client.events();
      await stream.next();
      const total = 5000;
      for (let id = 1; id <= total; id++) stack.events.emit({ type: 'port-added', ports: { id, ...web } });
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
        assert.deepEqual([error.closeCode, error.message], [1006, 'event stream was cut off: the stack was killed']);
        return true;
      });
      frame = 'xx';
      await assert.rejects(other.client.events().next(), { name: 'EventStreamError', closeCode: 1007 });
    });

    it('are refused by a stack without an event stream', async () => {
      await using old = await answering((response) => response.writeHead(404).end('404 page not found\n'));
      await assert.rejects(old.client.events().next(), {
        name: 'APIError',
        httpStatus: 404,
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

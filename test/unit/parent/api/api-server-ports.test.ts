import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { type FakeStack, startFakeStack } from '../../../support/stacks/fake-stack.js';
import { ask, assertRefused, exchange, WEB } from './raw-requests.js';

describe('API server', () => {
  let stack: FakeStack;
  beforeEach(async () => {
    stack = await startFakeStack();
  });
  afterEach(() => stack.close());
  const refused = (method: string, path: string, body: string | undefined, status: number, message: RegExp) =>
    assertRefused(stack, [method, path, body], status, message);

  describe('ports', () => {
    it('are null while no port is published', async () => {
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

    it('report the port that was chosen for 0', async () => {
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

    it('report that they do not listen, unasked', async () => {
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
      ['no ports', '{"proto":"tcp"}', /child port 0/],
      ['a wrong type', WEB.replace('8080', '"8080"'), /parentPort "8080" is not a whole number/],
      ['an unknown protocol', WEB.replace('tcp', 'TCQ'), /unknown proto "tcq"/],
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
      const body = `${WEB.slice(0, -1)},"x":"${'x'.repeat(3 * 1024 * 1024)}"}`;
      await refused('POST', '/v1/ports', body, 413, /^request body is larger than 2097152 bytes$/);
      const chunk = Buffer.alloc(65536, 'x');
      const head = 'POST /v1/ports HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n';
      const chunks = Array.from({ length: 40 }, () =>
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

    it('are not removed by an unknown id', async () => {
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

    it('answer 400 if there is no port driver', async () => {
      await stack.close();
      stack = await startFakeStack({ ports: undefined });
      await refused('GET', '/v1/ports', undefined, 400, /^no PortDriver is available$/);
      await refused('POST', '/v1/ports', WEB, 400, /^no PortDriver is available$/);
      await refused('DELETE', '/v1/ports/1', undefined, 400, /^no PortDriver is available$/);
    });
  });
});

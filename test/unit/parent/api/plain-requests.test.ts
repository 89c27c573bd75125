import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { parsePlainHead } from '../../../../parent/api/plain/head.js';
import { waitFor } from '../../../support/index.js';
import { type FakeStack, startFakeStack } from '../../../support/stacks/fake-stack.js';
import { exchange, WEB } from './raw-requests.js';

const head = (...lines: string[]) => lines.join('\r\n');

describe('plain requests', () => {
  it('are those of the usual clients', () => {
    assert.deepEqual(
      parsePlainHead(
        head(
          'POST /v1/ports?persist=true HTTP/1.1',
          'Host: rootlesskit',
          'User-Agent: Go-http-client/1.1',
          'Content-Length: 70',
          'Content-Type: application/json',
          'Accept-Encoding: gzip',
        ),
      ),
      { method: 'POST', target: '/v1/ports?persist=true', bodyLength: 70, closes: false },
    );
    assert.deepEqual(parsePlainHead(head('GET /v1/info HTTP/1.1', 'host:x', 'connection:  Close ', 'Accept: */*')), {
      method: 'GET',
      target: '/v1/info',
      bodyLength: 0,
      closes: true,
    });
  });

  const others: [what: string, ...lines: string[]][] = [
    ['HTTP/1.0', 'GET / HTTP/1.0', 'Host: x'],
    ['another method', 'PUT / HTTP/1.1', 'Host: x'],
    ['a method in lower case', 'get / HTTP/1.1', 'Host: x'],
    ['a whole URL', 'GET http://x/ HTTP/1.1', 'Host: x'],
    ['a target with a blank', 'GET /a b HTTP/1.1', 'Host: x'],
    ['a target that is not ASCII', 'GET /\xe4 HTTP/1.1', 'Host: x'],
    ['no host', 'GET / HTTP/1.1'],
    ['two hosts', 'GET / HTTP/1.1', 'Host: x', 'Host: y'],
    ['a transfer coding', 'POST / HTTP/1.1', 'Host: x', 'Transfer-Encoding: chunked'],
    ['a length and a coding', 'POST / HTTP/1.1', 'Host: x', 'Content-Length: 1', 'Transfer-Encoding: chunked'],
    ['two lengths', 'POST / HTTP/1.1', 'Host: x', 'Content-Length: 1', 'Content-Length: 1'],
    ['a length with a sign', 'POST / HTTP/1.1', 'Host: x', 'Content-Length: +1'],
    ['a list of lengths', 'POST / HTTP/1.1', 'Host: x', 'Content-Length: 1, 1'],
    ['a huge length', 'POST / HTTP/1.1', 'Host: x', 'Content-Length: 12345678'],
    ['an expectation', 'POST / HTTP/1.1', 'Host: x', 'Expect: 100-continue'],
    ['an upgrade', 'GET / HTTP/1.1', 'Host: x', 'Connection: Upgrade', 'Upgrade: websocket'],
    ['an unknown header', 'GET / HTTP/1.1', 'Host: x', 'X-Y: z'],
    ['a folded header', 'GET / HTTP/1.1', 'Host: x', 'Accept: a', ' b'],
    ['a blank before the colon', 'GET / HTTP/1.1', 'Host : x'],
    ['a bare line feed', 'GET / HTTP/1.1\nHost: x'],
    ['a control character', 'GET / HTTP/1.1', 'Host: x\0'],
    ['nothing', ''],
  ];
  for (const [what, ...lines] of others) {
    it(`are not those with ${what}`, () => assert.equal(parsePlainHead(head(...lines)), undefined));
  }

  describe('on a connection', () => {
    let stack: FakeStack;
    let socket: Socket;
    let text: string;
    beforeEach(async () => {
      stack = await startFakeStack();
      text = '';
      socket = connect(stack.socketPath);
      socket.on('data', (data) => {
        text += data.toString();
      });
      await once(socket, 'connect');
    });
    afterEach(async () => {
      socket.destroy();
      await stack.close();
    });
    const answers = (count: number) =>
      waitFor(() => text.split('HTTP/1.1 ').length > count, { what: `answer ${count} in ${text}` });
    const POST = `POST /v1/ports HTTP/1.1\r\nHost: x\r\nContent-Length: ${WEB.length}\r\n\r\n`;
    const GET = 'GET /v1/ports HTTP/1.1\r\nHost: x\r\n\r\n';
    const statuses = () => [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status));

    it("have the same answers as from Node's server", async () => {
      const ask = (request: string, more: string) =>
        exchange(stack.socketPath, request.replace('Host: x', `Host: x\r\nConnection: close${more}`));
      const json = POST.replace('POST', 'GET') + WEB;
      for (const request of [GET, json, GET.replace('ports', 'info'), GET.replace('ports', 'x')]) {
        const [ours, nodes] = [await ask(request, ''), await ask(request, '\r\nX-Not: plain')];
        for (const { headers } of [ours, nodes]) assert(headers.delete('date'), 'has a date');
        assert.deepEqual(ours, nodes);
      }
    });

    it('may come with their body in pieces', async () => {
      for (const piece of [POST, WEB.slice(0, 20), WEB.slice(20)]) {
        await new Promise((resolve) => socket.write(piece, resolve));
        await new Promise(setImmediate);
      }
      await answers(1);
      assert.match(text, /^HTTP\/1\.1 201 Created\r\n/);
      socket.write(GET);
      await answers(2);
      assert.deepEqual(statuses(), [201, 200]);
    });

    it('may come all at once, and be answered in their order', async () => {
      socket.write(`${POST}${WEB}${GET}${GET.replace('ports', 'x')}${GET}`);
      await answers(4);
      assert.deepEqual(statuses(), [201, 200, 404, 200]);
    });

    it('may begin with the end of the one before', async () => {
      await new Promise((resolve) => socket.write(POST, resolve));
      socket.write(`${WEB}${GET}`);
      await answers(2);
      assert.deepEqual(statuses(), [201, 200]);
    });

    it('may be followed by others, in pieces', async () => {
      socket.write(GET);
      await answers(1);
      const chunked = 'POST /v1/ports HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n';
      for (const piece of [chunked.slice(0, 10), chunked.slice(10), `${WEB.length.toString(16)}\r\n${WEB}\r\n`]) {
        await new Promise((resolve) => socket.write(piece, resolve));
        await new Promise(setImmediate);
      }
      socket.write('0\r\n\r\n');
      await answers(2);
      socket.write(GET);
      await answers(3);
      assert.deepEqual(statuses(), [200, 201, 200]);
    });

    it('are answered after the client has closed its end', async () => {
      socket.end(GET);
      await once(socket, 'close');
      assert.match(text, /^HTTP\/1\.1 200 OK\r\n(.+\r\n)+\r\nnull$/);
    });

    it('are not carried out without their whole body', async () => {
      socket.end(`${POST}${WEB.slice(1)}`);
      await once(socket, 'close');
      assert.deepEqual([statuses(), stack.ports.list()], [[400], []]);
    });
  });
});

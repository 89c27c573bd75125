import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, get as httpGet, request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, connect, createServer as createTCPServer, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { WebSocket, WebSocketServer } from 'ws';
import { HTTPRouter } from '../../../../parent/http/router.js';
import { type PortsByName, routeOf } from '../../../../parent/http/routes.js';
import { type NamedPorts, StackNames } from '../../../../parent/http/stack-names.js';
import { freePort, waitFor } from '../../../support/index.js';

const at = (inside: number) => ({ host: '127.0.0.1', port: inside, inside });

describe('names below localhost', () => {
  const names: PortsByName = new Map([
    ['web', [at(9000), at(80), at(443)]],
    ['db', [at(5432)]],
    ['a.b', [at(81)]],
  ]);
  const insideOf = (host: string, scheme: 'http' | 'tls' = 'http') => {
    const route = routeOf(host, scheme, names);
    return 'to' in route ? route.to.inside : route;
  };

  it('lead to the usual port, the lowest one, or the one that is named', () => {
    assert.equal(insideOf('web.localhost:8080'), 80);
    assert.equal(insideOf('WEB.localhost.'), 80);
    assert.equal(insideOf('web.localhost', 'tls'), 443);
    assert.equal(insideOf('9000.web.localhost'), 9000);
    assert.equal(insideOf('db.localhost'), 5432);
    assert.equal(insideOf('a.b.localhost'), 81);
  });

  it('are the only ones, and others are explained in one line', () => {
    const problem = (host: string) => {
      const route = routeOf(host, 'http', names);
      return 'to' in route ? '' : `${route.status} ${route.problem}`;
    };
    assert.match(
      problem('evil.example'),
      /^421 this is the router of NAME\.localhost; "evil\.example" does not lead here$/,
    );
    assert.match(problem('localhost.evil.example'), /^421/);
    assert.match(problem('127.0.0.1'), /^421/);
    assert.match(
      problem('x.localhost'),
      /^404 no stack or container "x" publishes a port; there are: web\.localhost, /,
    );
    assert.match(problem('localhost'), /^404 there are: web\.localhost/);
    assert.match(problem('1.web.localhost'), /^404 web publishes no port 1; it has 9000, 80, 443$/);
    assert.match(problem('<script>.localhost'), /^404 no stack or container "<script>"/);
  });
});

describe('names of one stack', () => {
  it('are not waited for where it has hung before', async () => {
    const answers: ((names: NamedPorts) => void)[] = [];
    const names = new StackNames(() => new Promise((resolve) => answers.push(resolve)), 0);
    const first = names.get();
    answers[0]?.({ own: [['a', []]], containers: [] });
    assert.deepEqual((await first).own, [['a', []]]);
    // From here on nothing answers.
    assert.deepEqual((await names.get()).own, [['a', []]]);
    assert.deepEqual((await names.get()).own, [['a', []]]);
    assert.equal(answers.length, 2, 'it is asked once at a time');
  });
});

describe('the router of --http', () => {
  let router: HTTPRouter;
  let port = 0;
  const servers: Server[] = [];
  const names = new Map<string, { host: string; port: number; inside: number }[]>();
  /** Requests that servers have got, as `NAME METHOD URL BODY`. */
  const seen: string[] = [];
  let last: IncomingMessage | undefined;

  /** A server that reports what it gets. */
  async function serve(name: string): Promise<void> {
    const server = createServer((request, response) => {
      last = request;
      void text(request).then((body) => {
        seen.push(`${name} ${request.method} ${request.url} ${body}`);
        response.end(`${name}\n`);
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    servers.push(server);
    names.set(name, [{ host: '127.0.0.1', port: (server.address() as AddressInfo).port, inside: 80 }]);
  }

  before(async () => {
    port = await freePort('127.0.0.1');
    const log = { info: () => {}, warn: assert.fail };
    router = new HTTPRouter(
      { ip: '127.0.0.1', port, own: { stateDir: '/' }, log, headMs: 500, maxConnections: 40 },
      { find: async (host, scheme) => routeOf(host, scheme, names) },
    );
    router.listen();
    await serve('one');
    await serve('two');
  });
  beforeEach(() => {
    seen.length = 0;
  });
  after(async () => {
    await router.close();
    for (const server of servers) server.close().closeAllConnections();
  });

  /** Sends that, and resolves with all that comes back until the router closes the connection. */
  const exchange = async (data: string) => {
    const socket = connect(port, '127.0.0.1');
    socket.write(data);
    return text(socket);
  };
  const head = (name: string, more = '') => `GET /${name} HTTP/1.1\r\nHost: ${name}.localhost\r\n${more}\r\n`;

  it('leads requests of one connection each by its own host', async () => {
    const answer = await exchange(`${head('one')}${head('two')}${head('one')}${head('two', 'Connection: close\r\n')}`);
    assert.deepEqual(answer.match(/^(one|two)$/gm), ['one', 'two', 'one', 'two']);
    assert.deepEqual(seen, ['one GET /one ', 'two GET /two ', 'one GET /one ', 'two GET /two ']);
  });

  it('passes on bodies with one framing, and never a part of one as a request', async () => {
    const chunked =
      'POST /1 HTTP/1.1\r\nHost: one.localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n';
    const counted = 'POST /2 HTTP/1.1\r\nHost: two.localhost\r\nContent-Length: 5\r\n\r\nhello';
    const withGet =
      'GET /3 HTTP/1.1\r\nHost: one.localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n';
    await exchange(`${chunked}${counted}${withGet}`);
    assert.deepEqual(seen, ['one POST /1 hello', 'two POST /2 hello', 'one GET /3 GET /']);
    const hidden = 'GET /hidden HTTP/1.1\r\nHost: two.localhost\r\nConnection: close\r\n\r\n';
    const bad = [
      `POST / HTTP/1.1\r\nHost: one.localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
      `POST / HTTP/1.1\r\nHost: one.localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n123456${hidden}`,
      `POST / HTTP/1.1\r\nHost: one.localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n${hidden}`,
      `POST / HTTP/1.1\r\nHost: one.localhost\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n${hidden}`,
      `GET / HTTP/1.1\r\nHost: one.localhost\r\nHost: two.localhost\r\n\r\n${hidden}`,
      `GET / HTTP/1.1\r\n\r\n${hidden}`,
      `GET / HTTP/1.1\r\nHost : one.localhost\r\n\r\n${hidden}`,
      `GET / HTTP/1.1\nHost: one.localhost\r\nX: 1\r\n 2: 3\r\n\r\n${hidden}`,
      `GET / HTTP/1.1\r\nHost: one.localhost\r\nX: ${'x'.repeat(9000)}\r\n\r\n${hidden}`,
    ];
    seen.length = 0;
    for (const data of bad) {
      const answer = await exchange(data).catch(() => '');
      assert.match(answer, /^(HTTP\/1\.1 (4\d\d|501) |$)/, data.slice(0, 100));
      assert.ok(!seen.some((line) => line.includes('hidden')), `${data.slice(0, 100)}: ${seen.join()}`);
    }
  });

  it('does not act as a proxy, and answers for unknown names in one line', async () => {
    assert.match(
      await exchange('GET http://one.localhost/ HTTP/1.1\r\nHost: one.localhost\r\n\r\n'),
      / 400 [\s\S]*this is not a proxy\n$/,
    );
    assert.match(
      await exchange('CONNECT one.localhost:80 HTTP/1.1\r\nHost: one.localhost\r\n\r\n'),
      / 405 [\s\S]*this is not a proxy\n$/,
    );
    assert.match(
      await exchange(head('three')),
      / 404 [\s\S]*\r\n\r\nno stack or container "three" publishes a port; there are: one\.localhost, two\.localhost\n$/,
    );
    assert.match(await exchange('GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n'), / 421 /);
    names.set('gone', [{ host: '127.0.0.1', port: await freePort('127.0.0.1'), inside: 80 }]);
    assert.match(await exchange(head('gone')), / 502 [\s\S]*port 80 does not answer: /);
    assert.deepEqual(seen, []);
  });

  it('does not let idle clients hold its connections', async () => {
    const idle: Socket[] = [];
    try {
      for (let i = 0; i < 60; i++) {
        const socket = connect(port, '127.0.0.1').on('error', () => {});
        idle.push(socket);
        socket.write(head('one'));
        const [answer] = await once(socket, 'data');
        assert.match(String(answer), / 200 /);
      }
      assert.match(await exchange(head('two', 'Connection: close\r\n')), /^two$/m);
    } finally {
      for (const socket of idle) socket.destroy();
    }
  });

  it('replaces what clients claim of their address', async () => {
    await exchange(
      head(
        'one',
        'X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\nConnection: close, X-Secret\r\nX-Secret: 1\r\n',
      ),
    );
    const {
      'x-forwarded-for': address,
      'x-forwarded-host': host,
      forwarded,
      'x-secret': secret,
      host: own,
    } = last?.headers ?? {};
    assert.deepEqual(
      [address, host, forwarded, secret, own],
      ['127.0.0.1', 'one.localhost', undefined, undefined, 'one.localhost'],
    );
  });

  it('drops a head that is slow', async () => {
    for (const beginning of ['', 'GET / HT', 'GET / HTTP/1.1\r\nHost: one.localhost\r\n', '\x16\x03\x01\x02\x00\x01']) {
      const socket = connect(port, '127.0.0.1');
      socket.write(Buffer.from(beginning, 'latin1'));
      socket.resume();
      await once(socket, 'close');
    }
  });

  it('keeps connections while a client waits for an answer', async () => {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      httpGet({ host: '127.0.0.1', port, headers: { Host: 'one.localhost', Expect: '100-continue' } }, resolve).on(
        'error',
        reject,
      );
    });
    assert.equal(await text(response), 'one\n');
  });

  it('passes heads on at once, with a body later', async () => {
    const events = createServer((request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders();
      request.pipe(response);
    }).listen(0, '127.0.0.1');
    await once(events, 'listening');
    servers.push(events);
    names.set('events', [{ host: '127.0.0.1', port: (events.address() as AddressInfo).port, inside: 80 }]);
    const request = httpRequest({ host: '127.0.0.1', port, method: 'POST', headers: { Host: 'events.localhost' } });
    request.flushHeaders();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    assert.equal(response.statusCode, 200);
    request.end('now');
    assert.equal(await text(response), 'now');
  });

  it('discards what a server does not want of a body, and goes on with the next request', async () => {
    const strict = createServer((_request, response) => response.writeHead(413, { Connection: 'close' }).end('big'));
    await once(strict.listen(0, '127.0.0.1'), 'listening');
    servers.push(strict);
    names.set('strict', [{ host: '127.0.0.1', port: (strict.address() as AddressInfo).port, inside: 80 }]);
    const socket = connect(port, '127.0.0.1').setEncoding('latin1');
    socket.write('POST / HTTP/1.1\r\nHost: strict.localhost\r\nContent-Length: 10\r\n\r\nfirst');
    let answer = '';
    for await (const data of socket) {
      answer += data;
      if (/ 413 [\s\S]*big/.test(data)) socket.write(`later${head('one', 'Connection: close\r\n')}`);
    }
    assert.match(answer, / 413 [\s\S]* 200 OK[\s\S]*one\n/);
  });

  it('passes WebSockets on, both ways, and answers other upgrades as if there were none', async () => {
    const wss = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
    await once(wss, 'listening');
    wss.on('connection', (socket) => {
      socket.send('welcome');
      socket.on('message', (data) => socket.send(`${data}!`));
    });
    names.set('ws', [{ host: '127.0.0.1', port: (wss.address() as AddressInfo).port, inside: 80 }]);
    const client = new WebSocket(`ws://127.0.0.1:${port}/`, { headers: { Host: 'ws.localhost' } });
    const received: string[] = [];
    client.on('message', (data) => received.push(String(data)));
    await once(client, 'open');
    client.send('hello');
    await waitFor(() => received.length === 2, { what: 'an answer' });
    assert.deepEqual(received, ['welcome', 'hello!']);
    client.close();
    await once(client, 'close');
    wss.close();
    const h2c = 'Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n';
    assert.match(await exchange(head('one', h2c)), /^HTTP\/1\.1 200 OK[\s\S]*one\n/);
    assert.equal(last?.headers.upgrade, undefined);
    const refused = new WebSocket(`ws://127.0.0.1:${port}/`, { headers: { Host: 'one.localhost' } });
    const [error] = await once(refused, 'error');
    assert.match(String(error), /Unexpected server response: 200/);
  });

  it('passes TLS on by its server name', async () => {
    const echo = createTCPServer((socket) => socket.once('data', (data) => socket.end(`${data.length}`))).listen(
      0,
      '127.0.0.1',
    );
    await once(echo, 'listening');
    names.set('tls', [{ host: '127.0.0.1', port: (echo.address() as AddressInfo).port, inside: 443 }]);
    const hello = async (name: string) => {
      const to = ['-connect', `127.0.0.1:${port}`, '-servername', name];
      const child = spawn('openssl', 's_client'.split(' ').concat(to), { stdio: ['ignore', 'pipe', 'pipe'] });
      const output = Promise.all([text(child.stdout), text(child.stderr)]);
      await once(child, 'exit');
      return (await output).join('\n');
    };
    // The server has got the client's first message, and answered with what no client understands.
    assert.match(await hello('tls.localhost'), /packet length|wrong version|unexpected|record/i);
    assert.match(await hello('unknown.localhost'), /unrecognized name/);
    echo.close();
  });
});

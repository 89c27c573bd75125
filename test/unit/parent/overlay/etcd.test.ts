import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { EtcdClient } from '../../../../parent/overlay/etcd/client.js';
import type { EtcdError } from '../../../../parent/overlay/etcd/errors.js';
import { Following, type Picture } from '../../../../parent/overlay/etcd/follow.js';
import { waitFor } from '../../../support/index.js';

const encode = (text: string) => Buffer.from(text).toString('base64');
const entry = (key: string, value: string, revision: number) => ({
  key: encode(key),
  value: encode(value),
  mod_revision: String(revision),
});

type Handler = (body: Record<string, unknown>, response: ServerResponse, request: IncomingMessage) => void;

/** A gateway that answers as the test wants. */
async function fakeGateway(handlers: Record<string, Handler>) {
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request.setEncoding('utf8')) text += String(chunk);
    handlers[request.url ?? '']?.(JSON.parse(text) as Record<string, unknown>, response, request);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

const json = (response: ServerResponse, value: unknown, status = 200) => {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(value));
};

describe('the client of etcd', () => {
  it('goes to the next endpoint when one is silent, refuses connections or has no leader', async () => {
    await using silent = await fakeGateway({ '/v3/kv/range': () => {} });
    await using leaderless = await fakeGateway({
      '/v3/kv/range': (_, response) => json(response, { error: 'etcdserver: no leader', code: 14 }, 503),
    });
    await using good = await fakeGateway({
      '/v3/kv/range': (_, response) => json(response, { header: { revision: '5' }, kvs: [entry('/a/b', 'c', 4)] }),
    });
    const client = new EtcdClient({ endpoints: ['http://127.0.0.1:1', silent.url, leaderless.url, good.url] });
    const { entries, revision } = await client.list('/a/');
    assert.deepEqual([entries.map(({ key, value }) => [key, value]), revision], [[['/a/b', 'c']], 5n]);
    client.close();
    await assert.rejects(client.list('/a/'), /etcd does not answer at /);
  });

  it('tries each endpoint once in a call, whatever calls at the same time do', async () => {
    await using good = await fakeGateway({
      '/v3/kv/range': (_, response) => json(response, { header: { revision: '5' } }),
    });
    const client = new EtcdClient({ endpoints: ['http://127.0.0.1:1', good.url, 'http://127.0.0.1:2'] });
    await Promise.all(Array.from({ length: 9 }, () => client.list('/a/')));
    // The one that has answered is the first for all that follows.
    await Promise.all(Array.from({ length: 9 }, () => client.list('/a/')));
    client.close();
  });

  it('reports what etcd refuses, at once', async () => {
    await using gateway = await fakeGateway({
      '/v3/kv/range': (_, response) => json(response, { error: 'etcdserver: permission denied', code: 7 }, 403),
    });
    const client = new EtcdClient({ endpoints: [gateway.url] });
    await assert.rejects(client.get('/a'), /^EtcdError: etcd: etcdserver: permission denied/);
    await assert.rejects(client.get('/a'), ({ hint }: EtcdError) => /role grant-permission/.test(hint ?? ''));
    client.close();
  });

  it('logs in, and again when its token is no longer known', async () => {
    let valid = 'first';
    await using gateway = await fakeGateway({
      '/v3/auth/authenticate': (body, response) => {
        assert.deepEqual(body, { name: 'user', password: '' });
        json(response, { token: valid });
      },
      '/v3/kv/range': (_, response, { headers }) =>
        headers.authorization === valid
          ? json(response, { header: { revision: '1' } })
          : json(response, { error: 'etcdserver: invalid auth token', code: 16 }, 401),
    });
    const client = new EtcdClient({ endpoints: [gateway.url], user: 'user' });
    assert.equal(await client.get('/a'), undefined);
    valid = 'second';
    assert.equal(await client.get('/a'), undefined);
    client.close();
  });

  it('lists again when the revision that it watches from has been compacted', async () => {
    let lists = 0;
    const watched: unknown[] = [];
    await using gateway = await fakeGateway({
      '/v3/kv/range': (_, response) => {
        lists++;
        json(response, { header: { revision: String(lists * 10) }, kvs: [entry('/a/x', String(lists), lists * 10)] });
      },
      '/v3/watch': (body, response) => {
        const { start_revision: start } = body.create_request as { start_revision: string };
        watched.push(start);
        response.writeHead(200);
        response.write(`${JSON.stringify({ result: { created: true } })}\n`);
        if (lists === 1) {
          response.end(`${JSON.stringify({ result: { canceled: true, compact_revision: '15' } })}\n`);
          return;
        }
        // The head is ahead of the events: those of revision 22 come later.
        const events = (key: string, revision: number) => [{ kv: entry(key, 'new', revision) }];
        response.write(`${JSON.stringify({ result: { header: { revision: '22' }, events: events('/a/y', 21) } })}\n`);
        response.write(`${JSON.stringify({ result: { header: { revision: '22' }, events: events('/a/z', 22) } })}\n`);
        const removed = [{ type: 'DELETE', kv: { key: encode('/a/x'), mod_revision: '23' } }];
        response.write(`${JSON.stringify({ result: { header: { revision: '23' }, events: removed } })}\n`);
      },
    });
    const client = new EtcdClient({ endpoints: [gateway.url] });
    let last: string[] = [];
    const following = new Following(client, '/a/', {
      onPicture: (picture: Picture) => {
        last = [...picture.keys()];
      },
      onLost: () => {},
    });
    await waitFor(() => String(last) === '/a/y,/a/z', { what: 'the changes' });
    assert.deepEqual(watched, ['11', '21']);
    await following.close();
    client.close();
  });
});

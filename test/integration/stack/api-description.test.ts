import assert from 'node:assert/strict';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { openAPI, operations } from '../../../parent/api/openapi/document.js';
import { createNamespace, type Namespace } from '../../../parent/index.js';
import { busyboxRootfs } from '../../support/stacks/containers.js';

describe('the examples in the description of the API', () => {
  let ns: Namespace;
  before(async () => {
    ns = await createNamespace({ net: 'builtin', allow: ['192.0.2.1'], limit: '100M', containers: true, log: {} });
  });
  after(() => ns.close());

  async function send(method: string, path: string, body?: unknown): Promise<{ status: number; answer: unknown }> {
    const data = body === undefined ? '' : JSON.stringify(body).replaceAll('/srv/rootfs', busyboxRootfs());
    const headers = { 'Content-Length': Buffer.byteLength(data) };
    const sent = request({ socketPath: ns.socketPath, method, path: `/v1${path}`, headers, agent: false });
    sent.end(data);
    return new Promise((resolve, reject) => {
      sent.once('error', reject).once('response', (response) => {
        text(response).then((answer) => {
          resolve({ status: response.statusCode ?? 0, answer: answer === '' ? undefined : JSON.parse(answer) });
        }, reject);
      });
    });
  }

  for (const { method, path, status, answer, body, example } of operations) {
    if (!example) continue;
    it(`work: ${method} ${path}`, async () => {
      if (body) {
        const wrong = await send(method, example.path, { ...(example.body as object), nonsense: 1 });
        assert.equal(wrong.status, 400);
        assert.match(JSON.stringify(wrong.answer), /unknown key \\"nonsense\\"/);
        assert.ok(body.safeParse(example.body).success);
      }
      const got = await send(method, example.path, example.body);
      assert.equal(got.status, status, JSON.stringify(got.answer));
      if (!answer) return assert.equal(got.answer, undefined);
      const { error } = answer.safeParse(got.answer);
      assert.equal(error, undefined, `${JSON.stringify(got.answer)}: ${error?.message}`);
      if (path === '/openapi.json') assert.deepEqual(got.answer, JSON.parse(JSON.stringify(openAPI())));
    });
  }
});

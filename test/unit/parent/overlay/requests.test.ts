import assert from 'node:assert/strict';
import { nameOptions } from '../../../../bin/net/options/request-fields.js';
import { answerOverlays } from '../../../../parent/api/overlay/routes.js';
import { apiError } from '../../../../parent/client/answer.js';
import { Overlays } from '../../../../parent/overlay/overlays.js';
import { errorBody } from '../../../../protocol/errors/error-body.js';

const overlays = new Overlays({
  root: '/nonexistent',
  agent: { apply: async () => [], status: async () => [], remove: async () => {} },
  ports: { open: () => Promise.reject(new Error('not to be called')) },
  ready: async () => {},
  warn: () => {},
});

/** The error of a request with that body, as a command gets it. */
async function refusal(body: unknown): Promise<Error> {
  const request = { method: 'POST', pathname: '/v1/overlays', query: new URLSearchParams(), fromInside: () => false };
  const answer = answerOverlays(overlays, { ...request, body: () => Buffer.from(JSON.stringify(body)) });
  const error: unknown = await answer.then(() => undefined).catch((reason: unknown) => reason);
  return apiError(400, JSON.stringify(errorBody(error)));
}

describe('invalid requests about overlay networks', () => {
  it('are refused with the option that the value is of', async () => {
    const names = { networks: '--subnet', 'etcd.endpoints.*': '--etcd' };
    for (const [body, message] of [
      [{ name: 'a', networks: ['x'] }, 'invalid --subnet: not a subnet'],
      [{ name: 'a', etcd: { endpoints: ['x'] } }, 'invalid --etcd: not a URL such as https://etcd1:2379'],
    ] as const) {
      const named = nameOptions(await refusal(body), names);
      assert(named instanceof Error);
      assert.equal(named.message, message);
    }
    assert.equal((await refusal([])).message, '[] is not an object');
  });
});

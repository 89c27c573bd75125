import assert from 'node:assert/strict';
import { accepts, freePort, startStack, tcpRequest, waitFor } from '../support/index.js';

const args = ['--net=pasta', '--port-driver=implicit'];

describe('port driver implicit', () => {
  it('publishes what is opened inside, under the same number, until it is closed', async () => {
    await using stack = await startStack({ args });
    const port = await freePort('0.0.0.0');
    const server = await stack.program('tcp-server', 'echo', '0.0.0.0', port);
    // pasta looks for new ports once a second.
    await waitFor(async () => accepts('127.0.0.1', port), { what: 'the port on the host' });
    assert.equal((await tcpRequest('127.0.0.1', port, 'implicitly')).toString(), 'implicitly');
    await server.stop();
    await waitFor(async () => !(await accepts('127.0.0.1', port)), { what: 'the port on the host to be free' });
  });

  it('takes no requests, and is not among the facts, as clients expect', async () => {
    await using stack = await startStack({ args });
    assert.equal((await stack.api.info()).portDriver, undefined);
    await assert.rejects(stack.api.listPorts(), /no PortDriver is available/);
    await assert.rejects(stack.publish('127.0.0.2:0:80'), /no PortDriver is available/);
  });
});

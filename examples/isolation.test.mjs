// Tests that do not disturb each other: each has a namespace of its own, and so its own port 80 and its own loopback.
import assert from 'node:assert/strict';
import { createNamespace } from 'rootless-net';

/** A server that answers with its argument, on port 80. */
const SERVER = `
  require('node:http').createServer((request, response) => response.end(process.argv[1])).listen(80, '127.0.0.1');
`;

describe('a service', () => {
  let ns;
  let port;
  beforeEach(async () => {
    ns = await createNamespace({ net: 'none' });
    // Any free port of the host: test runs can go side by side.
    port = await ns.publish({ targetPort: 80 });
  });
  afterEach(() => ns.close());

  for (const name of ['one', 'two', 'three']) {
    it(`answers as ${name}, on port 80`, async () => {
      ns.run(process.execPath, ['-e', SERVER, name]);
      await port.ready();
      assert.equal(await (await fetch(port.url)).text(), name);
    });
  }

  it('has nothing of the test before', async () => {
    const { stdout } = await ns.run('cat', ['/proc/net/tcp']);
    assert.equal(stdout.trim().split('\n').length, 1);
  });
});

import assert from 'node:assert/strict';
import { accessSync, constants, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, hostAddresses, repoRoot, run, start, tcpRequest, tempDir } from '../../support/index.js';

// If these fail, so will the others, and these show why.
describe('the surroundings of the integration tests', () => {
  it('are those of an unprivileged user', async () => {
    assert.notEqual(process.getuid?.(), 0);
    const { stdout } = await run('sh', ['-c', 'grep ^CapEff /proc/self/status']);
    assert.equal(stdout, 'CapEff:\t0000000000000000\n');
  });

  it('let the user make user and network namespaces with sub-ids', async () => {
    const { code, stdout, stderr } = await run('unshare', [
      '--user',
      '--net',
      '--map-auto',
      '--map-root-user',
      'id',
      '-u',
    ]);
    assert.equal(code, 0, stderr);
    assert.equal(stdout, '0\n');
  });

  it('let the user open /dev/net/tun and read the checkout', () => {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
    accessSync(join(repoRoot, 'dist', 'test', 'run.js'), constants.R_OK);
  });

  it('have a directory for temporary files', () => {
    writeFileSync(join(tempDir(), 'file'), '');
  });

  for (const [family, host] of Object.entries({ ...hostAddresses, loopback: '127.0.0.2' })) {
    it(`have a host address that a server can listen on (${family})`, async function () {
      // The test command makes them where it is root.
      if (!host) this.skip();
      const port = await freePort(host);
      // Without a listener for errors the probe that looks whether it is ready, and hangs up, may end it.
      const script = `require('net').createServer((s) => s.on('error', () => {}).end('hello')).listen(${port}, '${host}')`;
      await using _server = await start(process.execPath, ['-e', script], { ready: { tcp: { host, port } } });
      assert.equal((await tcpRequest(host, port)).toString(), 'hello');
    });
  }
});

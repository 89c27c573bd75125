import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { accepts, binPath, freePort, run, startStack, tcpRequest, tempDir, waitFor } from '../../support/index.js';

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

  it('is refused with --disable-host-loopback where pasta cannot keep that, but under the name of RootlessKit', async () => {
    const help = await run('pasta', ['--help']);
    if (/--host-lo-to-ns-lo/.test(help.stdout + help.stderr)) return;
    const [ours, theirs] = await Promise.all([
      run(binPath('rootless-run'), [...args, '--disable-host-loopback', 'true']),
      run(binPath('rootlesskit'), [...args, '--disable-host-loopback', 'true']),
    ]);
    assert.deepEqual([ours.code, theirs.code], [125, 0], ours.stderr + theirs.stderr);
    assert.match(ours.stderr, /^rootless-run: error: --disable-host-loopback cannot be enforced: .+; hint: .+\n$/);
    assert.match(theirs.stderr, /this version of pasta forwards connections to loopback inside/);
  });

  it('with --disable-host-loopback, the loopback of the host is out of reach where pasta knows how', async () => {
    // A pasta that has the option: what matters are its arguments.
    const directory = tempDir();
    const words = join(directory, 'words');
    const program = join(directory, 'pasta');
    writeFileSync(
      program,
      `#!/bin/sh\nif [ "$1" = --help ]; then echo --host-lo-to-ns-lo; exit; fi\necho "$@" > ${words}\nexit 1\n`,
      { mode: 0o755 },
    );
    await run(binPath('rootless-run'), [...args, `--pasta-binary=${program}`, '--disable-host-loopback', 'true']);
    assert.match(readFileSync(words, 'utf8'), /--tcp-ns=none --udp-ns=none --host-lo-to-ns-lo/);
  });

  it('takes no requests, and is not among the facts, as clients expect', async () => {
    await using stack = await startStack({ args });
    assert.equal((await stack.api.info()).portDriver, undefined);
    await assert.rejects(stack.api.listPorts(), /no PortDriver is available/);
    await assert.rejects(stack.publish('127.0.0.2:0:80'), /no PortDriver is available/);
  });
});

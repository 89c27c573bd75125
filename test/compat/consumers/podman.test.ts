import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { accepts, freePort, run, startStack, tcpRequest, tempDir, waitFor } from '../../support/index.js';
import { busyboxTree } from './busybox-tree.js';
import { makeHome, removeTree } from './programs.js';

describe('podman', function () {
  this.timeout(90_000);

  it('with a slirp4netns of its own runs beside rootless-run, on the same port of another address', async () => {
    const home = makeHome(tempDir());
    const podman = async (...words: string[]) => {
      const { code, stdout, stderr } = await run(
        'podman',
        ['--runtime', 'runc', '--cgroup-manager=cgroupfs', ...words],
        {
          env: home.env,
          timeout: 60_000,
        },
      );
      assert.equal(code, 0, `podman ${words.join(' ')}: ${stderr}`);
      return stdout;
    };
    try {
      const tree = join(home.directory, 'tree');
      mkdirSync(tree);
      await busyboxTree(tree, 'from podman\n');
      const archive = join(home.directory, 'image.tar');
      assert.equal((await run('tar', ['-C', tree, '-cf', archive, '.'])).code, 0);
      await podman('import', archive, 'box:1');

      const port = await freePort('127.0.0.2');
      await using stack = await startStack({ args: ['--net=slirp4netns'], publish: [`127.0.0.3:${port}:7002`] });
      await using _server = await stack.program('tcp-server', 'echo', '127.0.0.1', 7002);
      const httpd = ['httpd', '-f', '-p', '80', '-h', '/www'];
      const network = ['--net', 'slirp4netns:port_handler=rootlesskit', '-p', `127.0.0.2:${port}:80`];
      await podman('run', '-d', '--name', 'web', ...network, 'box:1', ...httpd);
      await waitFor(() => accepts('127.0.0.2', port));
      const page = () => run('curl', ['-sS', '--max-time', '5', `http://127.0.0.2:${port}/`]);
      await waitFor(async () => (await page()).stdout === 'from podman\n', { what: 'the page' });
      assert.equal((await tcpRequest('127.0.0.3', port, 'ours')).toString(), 'ours');
      await podman('rm', '-f', '-t', '0', 'web');
      assert.equal((await tcpRequest('127.0.0.3', port, 'still ours')).toString(), 'still ours');
      assert.equal(await accepts('127.0.0.2', port), false);
    } finally {
      await run('podman', ['system', 'migrate'], { env: home.env }).catch(() => {});
      await removeTree(home.directory);
    }
  });
});

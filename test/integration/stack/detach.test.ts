import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { programPath, type RunningStack, startStack, tcpRequest, tempDir, waitFor } from '../../support/index.js';
import { execIn, reaches, startContainer, startContainerStack } from '../../support/stacks/containers.js';
import { refuses, runScript, runWords } from '../../support/stacks/rootless-run.js';

/** Runs in the detached namespace of a stack, as nerdctl and Docker do. */
const inNetns = 'nsenter -n"$ROOTLESSKIT_STATE_DIR/netns"';

const echoServer = (host: string) => `${process.execPath} ${programPath('tcp-server')} echo ${host} 7002`;

describe('a detached network namespace', () => {
  for (const net of ['builtin', 'slirp4netns', 'pasta', 'none', 'host'] as const) {
    it(`is pinned to the state directory, and the command is in the host's (${net})`, async () => {
      const script = `readlink /proc/self/ns/net; ${inNetns} sh -c 'readlink /proc/self/ns/net; ip -4 -br addr'`;
      const { stdout, stderr, code } = await runScript(script, [`--net=${net}`, '--detach-netns']);
      assert.deepEqual([stderr, code], ['', 0]);
      const [own, inside, ...addresses] = stdout.trim().split('\n');
      assert.equal(own, readlinkSync('/proc/self/ns/net'));
      assert.notEqual(inside, own);
      assert.match(addresses[0] ?? '', /^lo .*127\.0\.0\.1\/8/);
      if (net === 'builtin') assert.match(addresses[1] ?? '', /^eth0@\S+ .*10\.0\.2\.100\/24/);
      else if (net === 'slirp4netns' || net === 'pasta') assert.match(addresses[1] ?? '', /^tap0 .*10\.0\.2\.100\/24/);
      else assert.equal(addresses.length, 1);
    });
  }

  it("has containers, also beside the host's network", async () => {
    await using stack = await startContainerStack({ args: ['--net=host', '--detach-netns'] });
    const { attachments } = await startContainer(stack, { name: 'one' });
    await startContainer(stack, { name: 'two', network: { mode: 'host' } });
    const [ip = ''] = attachments[0]?.ips ?? [];
    assert(await reaches(stack, 'two', ip.replace(/\/.*/, '')));
    assert.match(await execIn(stack, 'two', 'cat', '/etc/hosts'), /localhost/);
  });

  for (const net of ['builtin', 'slirp4netns', 'pasta', 'none']) {
    it(`has its ports published, with any directories copied up (${net})`, async () => {
      // As /run is where the state directory is in /run/user/UID.
      const above = tempDir();
      const stateDir = join(above, 'user', 'state');
      mkdirSync(join(above, 'user'));
      await using stack = await startStack({
        args: [`--net=${net}`, '--detach-netns', `--copy-up=${above}`, '--copy-up=/etc'],
        publish: ['127.0.0.2:0:7002'],
        stateDir,
        command: ['sh', '-c', `exec ${inNetns} ${echoServer('127.0.0.1')}`],
      });
      const [{ port } = { port: 0 }] = await stack.published();
      await echoes(stack, port);
      const { networkDriver } = await stack.api.info();
      assert.equal(networkDriver?.driver, net);
    });
  }

  it("leaves the names of the host's network to the command, and gives its own on request", async () => {
    const script =
      'cat /etc/resolv.conf; echo ---; cat "$ROOTLESSKIT_STATE_DIR/resolv.conf"; mount | grep -c /etc/hosts';
    const { stdout } = await runScript(script, ['--net=slirp4netns', '--detach-netns']);
    const [own = '', rest = ''] = stdout.split('---\n');
    assert.doesNotMatch(own, /10\.0\.2\.3/);
    assert.match(rest, /^nameserver 10\.0\.2\.3\n(?:.*\n)*0\n$/);
  });

  it('accepts the slirp4netns port driver', async () => {
    await using stack = await startStack({
      args: ['--net=slirp4netns', '--port-driver=slirp4netns', '--detach-netns'],
      publish: ['127.0.0.2:0:7002'],
      command: ['sh', '-c', `exec ${inNetns} ${echoServer('0.0.0.0')}`],
    });
    const [{ port } = { port: 0 }] = await stack.published();
    await echoes(stack, port);
  });

  it('is gone with the stack, and nothing is left on the host', async () => {
    const above = tempDir();
    const { code } = await runScript('true', ['--net=slirp4netns', '--detach-netns', `--state-dir=${above}/state`]);
    assert.equal(code, 0);
    assert.deepEqual(readdirSync(above), []);
  });

  it('not available together with the sandbox of slirp4netns', async () => {
    const words = runWords('--net=slirp4netns', '--slirp4netns-sandbox=true', '--detach-netns', 'true');
    await refuses(words, /--slirp4netns-sandbox=true and --detach-netns are mutually exclusive/);
    const { code, stderr } = await runScript('true', [
      '--net=slirp4netns',
      '--slirp4netns-sandbox=auto',
      '--slirp4netns-seccomp=auto',
      '--detach-netns',
    ]);
    assert.deepEqual([stderr, code], ['', 0]);
  });
});

async function echoes(stack: RunningStack, port: number): Promise<void> {
  await waitFor(() => /^ready$/m.test(stack.started.output()), { what: 'the server inside' });
  assert.equal((await tcpRequest('127.0.0.2', port, 'into it')).toString(), 'into it');
}

import assert from 'node:assert/strict';
import { readFileSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { hostname, release } from 'node:os';
import { join } from 'node:path';
import { binPath, hostAddresses, type RunOptions, run, startStack, tempDir, waitFor } from '../../support/index.js';
import { runNested, runWords, WITHOUT_BUILTIN } from '../../support/stacks/rootless-run.js';

const sh = (script: string, args: readonly string[], options?: RunOptions) =>
  run(binPath('rootless-run'), [...args, '--', 'sh', '-c', script], options);

/** A directory for PATH with the usual small programs, and these. */
function pathWith(...programs: string[]): string {
  const dir = tempDir();
  for (const name of ['sh', 'cat', 'ip', 'sleep', 'id', 'newuidmap', 'newgidmap', 'cut', ...programs])
    symlinkSync(`/usr/bin/${name}`, join(dir, name));
  return dir;
}

/** A server of the host that sends `text` to every client. */
async function greeter(address: string, text: string): Promise<AsyncDisposable & { port: number }> {
  const server = createServer((socket) => socket.on('error', () => {}).end(text));
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  const bound = server.address();
  return {
    port: typeof bound === 'object' && bound ? bound.port : 0,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

describe('the network', () => {
  it('is loopback alone with none, and published ports work', async () => {
    const { stdout } = await sh('ls /sys/class/net; ip -br addr show lo | cut -c1-80', ['--net=none']);
    assert.match(stdout, /^lo\n/);
    assert.match(stdout, /127\.0\.0\.1\/8/);
  });

  for (const [kind, show, args] of [
    ['its own', 'ip -d link show lo', []],
    ['a detached', 'nsenter --net=$ROOTLESSKIT_STATE_DIR/netns ip -d link show lo', ['--detach-netns']],
  ] as const) {
    it(`has a loopback device that carries large segments, in ${kind} namespace`, async function () {
      const [major = 0, minor = 0] = release().split('.').map(Number);
      if (major < 6 || (major === 6 && minor < 3)) return this.skip();
      const { stdout } = await sh(show, ['--net=none', ...args]);
      assert.match(stdout, / gso_max_size 524280 /);
    });
  }

  for (const [driver, device] of [
    ['builtin', 'eth0'],
    ['slirp4netns', 'tap0'],
    ['pasta', 'tap0'],
  ]) {
    it(`of ${driver} reaches the outside, and has its addresses`, async function () {
      // Only a run as root makes one; see test/setup/isolated.ts.
      if (!hostAddresses.v4) return this.skip();
      await using server = await greeter(hostAddresses.v4, 'from outside');
      const { stdout, stderr, code } = await sh(
        `ip -br addr show ${device}; cat /etc/resolv.conf; ip link show ${device}; socat -T5 - TCP:${hostAddresses.v4}:${server.port}`,
        [`--net=${driver}`, '--mtu=4000', '--cidr=10.77.0.0/24'],
      );
      assert.deepEqual([code, stderr], [0, '']);
      assert.match(stdout, /10\.77\.0\.100\/24/);
      assert.match(stdout, /^nameserver 10\.77\.0\.3$/m);
      assert.match(stdout, /mtu 4000/);
      assert.match(stdout, /<BROADCAST,MULTICAST,UP,LOWER_UP>/);
      assert.match(stdout, /from outside$/);
    });

    it(`of ${driver} does not lead to the host's loopback unless that is allowed`, async () => {
      await using server = await greeter('127.0.0.1', 'loopback of the host');
      // The first bytes alone: pasta has been seen to deliver them again and again.
      const ask = `socat -T2 - TCP:10.0.2.2:${server.port},connect-timeout=2 | head -c 20`;
      assert.equal((await sh(ask, [`--net=${driver}`])).stdout, '');
      assert.equal((await sh(ask, [`--net=${driver}`, '--allow-host-loopback'])).stdout, 'loopback of the host');
    });
  }

  it('is the first that works with auto, and a line reports when there is none', async () => {
    const words = runWords('--debug', 'cat', '/etc/resolv.conf');
    const first = async (...programs: string[]) =>
      runNested(WITHOUT_BUILTIN, words, { env: { PATH: pathWith('unshare', ...programs) } });
    const [program, ...rest] = words;
    assert.match((await run(program, rest, { env: { PATH: pathWith() } })).stderr, /network driver builtin/);
    assert.match((await first('slirp4netns', 'pasta')).stderr, /network driver slirp4netns/);
    assert.match((await first('pasta')).stderr, /network driver pasta/);
    const none = await first();
    assert.match(none.stderr, /network driver none/);
    assert.match(
      none.stderr,
      /^rootless-run: no outbound network, loopback only: --net=builtin cannot be used: .*max_net_namespaces.*apt-get install slirp4netns.*apt-get install passt$/m,
    );
    assert.equal(none.code, 0);
  });

  it('that is lost is reported in a line, and the command continues', async () => {
    await using stack = await startStack({ args: ['--net=slirp4netns'], publish: ['127.0.0.2:0:80'] });
    const [driver] = stack.below('tap0');
    assert(driver);
    process.kill(driver.pid, 'SIGKILL');
    await waitFor(() =>
      /warning: the network is lost: slirp4netns ended.*; starting it again/.test(stack.started.output()),
    );
    assert.equal((await stack.api.info()).networkDriver?.driver, 'slirp4netns');
  });

  it('has names: hosts with the host name on loopback', async () => {
    const { stdout } = await sh('cat /etc/hosts', ['--net=none']);
    assert(stdout.startsWith(readFileSync('/etc/hosts', 'utf8')));
    assert(stdout.endsWith(`\n127.0.0.1 ${hostname()}\n::1 ${hostname()}\n`));
  });
});

describe('directories that are copied up', () => {
  it('can be written, show what the host has, and leave it as it is', async () => {
    const before = readFileSync('/etc/passwd', 'utf8');
    const { stdout, stderr } = await sh(
      'stat -f -c %T /etc; readlink /etc/passwd; rm /etc/passwd && echo mine > /etc/passwd && cat /etc/passwd; cat /etc/.ro*/passwd | wc -c; test -L /etc/hosts || echo regular',
      ['--net=none'],
    );
    const [type, link, mine, size, hosts] = stdout.trim().split('\n');
    assert.equal(stderr, '');
    assert.equal(type, 'tmpfs');
    assert.match(link ?? '', /^\.ro\w+\/passwd$/);
    assert.deepEqual([mine, Number(size), hosts], ['mine', Buffer.byteLength(before), 'regular']);
    assert.equal(readFileSync('/etc/passwd', 'utf8'), before);
  });

  it('may be several, and what is mounted below them stays reachable', async () => {
    const { stdout } = await sh(
      'stat -f -c %T /etc /var/lib /run; touch /var/lib/new /run/new && echo written; ls -d /var/lib/dpkg/info',
      ['--net=none', '--copy-up=/etc', '--copy-up=/var/lib,/run'],
    );
    assert.equal(stdout, 'tmpfs\ntmpfs\ntmpfs\nwritten\n/var/lib/dpkg/info\n');
  });

  it('keep links as they are', async () => {
    const { stdout } = await sh('readlink /etc/os-release', ['--net=none']);
    assert.equal(stdout, '../usr/lib/os-release\n');
  });
});

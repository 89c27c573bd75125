// Drivers that only RootlessKit has: under its name others serve in their place.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { StackClient } from '../../../parent/client/stack-client.js';
import { accepts, binPath, freePort, type RunOptions, run, start, tempDir, waitFor } from '../../support/index.js';
import { pathWith, runNested, WITHOUT_BUILTIN } from '../../support/stacks/rootless-run.js';

const CTL = binPath('rootlessctl');

/** One word of a line of the log, without the time. */
function logged(stderr: string): string[] {
  return stderr
    .split('\n')
    .filter((line) => line !== '')
    .map(
      (line) => /^time="[^"]+" level=warning msg="\[rootlesskit:parent\] (.*)"$/.exec(line)?.[1] ?? `other: ${line}`,
    );
}

function kitWords(args: readonly string[], script: string): [program: string, ...rest: string[]] {
  return [binPath('rootlesskit'), '--disable-host-loopback', ...args, 'sh', '-euc', script];
}

async function kit(args: readonly string[], script: string, options: RunOptions = {}) {
  const [program, ...words] = kitWords(args, script);
  const { code, stdout, stderr } = await run(program, words, options);
  return { code, stdout, warnings: logged(stderr) };
}

describe('drivers that only RootlessKit has', () => {
  it('are served, and info names them', async () => {
    const { code, stdout, warnings } = await kit(
      ['--net=gvisor-tap-vsock', '--port-driver=gvisor-tap-vsock'],
      `${CTL} info --json; cat /sys/class/net/tap0/mtu >&2`,
    );
    assert.equal(code, 0);
    const { version, networkDriver, portDriver } = JSON.parse(stdout);
    assert.deepEqual(
      [version, networkDriver.driver, networkDriver.childIP],
      ['3.2.0', 'gvisor-tap-vsock', '10.0.2.100'],
    );
    assert.deepEqual(portDriver, {
      driver: 'gvisor-tap-vsock',
      protos: ['tcp', 'tcp4', 'udp', 'udp4'],
      disallowLoopbackChildIP: true,
    });
    assert.deepEqual(warnings, [
      '--port-driver=gvisor-tap-vsock is served by the port driver builtin; --net=gvisor-tap-vsock is served by builtin',
      'other: 65520',
    ]);
  });

  it('are served by another one if builtin cannot be used, and with loopback alone if there is none', async () => {
    const programs = ['newuidmap', 'newgidmap', 'node', 'sh', 'ls', 'unshare'];
    const script = `ls -x /sys/class/net; ${CTL} info --json`;
    const served = async (...more: string[]) => {
      const env = { PATH: pathWith([...programs, ...more]) };
      const words = kitWords(['--net=vpnkit', '--port-driver=gvisor-tap-vsock'], script);
      const { stdout, stderr, code } = await runNested(WITHOUT_BUILTIN, words, { env });
      const [devices, ...info] = stdout.split('\n');
      const { networkDriver, portDriver } = JSON.parse(info.join('\n'));
      return {
        code,
        warnings: logged(stderr),
        devices,
        driver: networkDriver.driver,
        childIP: networkDriver.childIP,
        portDriver,
      };
    };
    const pasta = await served('pasta');
    assert.deepEqual([pasta.code, pasta.devices, pasta.driver, pasta.childIP], [0, 'lo  tap0', 'vpnkit', '10.0.2.100']);
    assert.match(pasta.warnings.join(), /; --net=vpnkit is served by pasta$/);

    const none = await served();
    assert.deepEqual([none.code, none.devices, none.driver, none.childIP], [0, 'lo', 'vpnkit', undefined]);
    // A client that was sent to the address of the child would find none.
    assert.equal(none.portDriver.disallowLoopbackChildIP, undefined);
    assert.equal(none.warnings.length, 1);
    assert.match(
      none.warnings[0] ?? '',
      /; --net=vpnkit has no outbound network, .*slirp4netns is not installed.*passt$/,
    );
  });

  for (const driver of ['pesto', 'gvisor-tap-vsock']) {
    it(`${driver} publishes one family with each address, and both with none`, async () => {
      const stateDir = join(tempDir(), 'state');
      const words = [`--state-dir=${stateDir}`, '--net=pasta', '--ipv6', '--disable-host-loopback'];
      await using _stack = await start(binPath('rootlesskit'), [...words, `--port-driver=${driver}`, 'sleep', '1000'], {
        ready: {
          check: () => run(CTL, ['--socket', join(stateDir, 'api.sock'), 'info']).then(({ code }) => code === 0),
        },
      });
      const api = new StackClient(join(stateDir, 'api.sock'));
      const port = await freePort('127.0.0.1');
      const add = (parentIP: string) =>
        api.addPort({ proto: 'tcp', ...(parentIP && { parentIP }), parentPort: port, childPort: 80 });
      const listeners = async () => {
        const { stdout } = await run('ss', ['-Hltn', `sport = :${port}`]);
        return stdout
          .split('\n')
          .flatMap((line) => line.split(/\s+/)[3] ?? [])
          .map((address) => address.replace(`:${port}`, ''))
          .sort();
      };
      const first = await add('0.0.0.0');
      assert.deepEqual(await listeners(), ['0.0.0.0']);
      const second = await add('::');
      assert.deepEqual(await listeners(), ['0.0.0.0', '[::]']);
      await Promise.all([first, second].map(({ id }) => api.removePort(id)));
      await waitFor(async () => (await listeners()).length === 0);
      await add('');
      assert.deepEqual(await listeners(), ['*']);
      const { protos } = (await api.info()).portDriver ?? {};
      assert.equal(protos?.includes('tcp6'), driver === 'pesto');
    });
  }

  it('lead to the address of the child, and to servers on loopback', async () => {
    const ports = [await freePort('127.0.0.1'), await freePort('127.0.0.1'), await freePort('127.0.0.1')];
    const servers = ['10.0.2.100', '127.0.0.1', '0.0.0.0'];
    const serve = (address: string, index: number) =>
      `socat TCP-LISTEN:${8000 + index},bind=${address},reuseaddr,fork SYSTEM:'echo $SOCAT_SOCKADDR' &`;
    const publish = ports.flatMap((port, index) => ['-p', `127.0.0.1:${port}:${8000 + index}/tcp`]);
    const words = ['--net=pasta', '--port-driver=pesto', '--disable-host-loopback', ...publish];
    const script = `${servers.map(serve).join('\n')}\nsleep 1000`;
    await using _stack = await start(binPath('rootlesskit'), [...words, 'sh', '-c', script], {
      ready: { check: () => accepts('127.0.0.1', ports[0] ?? 0) },
    });
    const answer = async (port: number | undefined) =>
      (await run('socat', ['-T5', '-', `TCP:127.0.0.1:${port}`])).stdout.trim();
    for (const [index, address] of ['10.0.2.100', '127.0.0.1', '10.0.2.100'].entries()) {
      await waitFor(async () => (await answer(ports[index])) === address);
    }
  });
});

describe("under RootlessKit's name", () => {
  it('a temporary state directory is named as there, and info shows its origin', async () => {
    const script = `echo "$ROOTLESSKIT_STATE_DIR"; ${CTL} info --json`;
    const infoOf = async (...args: string[]) => {
      const { stdout } = await kit(args, script);
      const [directory = '', ...info] = stdout.split('\n');
      assert.match(directory, /\/rootlesskit\w+$/);
      return JSON.parse(info.join('\n'));
    };
    const { networkDriver, portDriver } = await infoOf('--net=none', '--port-driver=builtin');
    assert.deepEqual(Object.keys(networkDriver), ['driver', 'ipv6']);
    assert.deepEqual(portDriver.extra, { sourceIPTransparentBackend: 'nft' });
    for (const [option, backend] of [
      ['--source-ip-transparent-backend=iptables', 'iptables'],
      ['--source-ip-transparent=false', 'none'],
    ] as const) {
      const info = await infoOf('--net=none', '--port-driver=builtin', option);
      assert.deepEqual(info.portDriver.extra, { sourceIPTransparentBackend: backend });
    }
  });

  it('warnings are lines of logrus, in color on a terminal', async () => {
    const words = [binPath('rootlesskit'), '--net=none', '--mtu=1500', 'true'];
    const plain = await run(words[0] ?? '', words.slice(1));
    assert.match(
      plain.stderr,
      /^time="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)" level=warning msg="\[rootlesskit:parent\] --mtu is ignored [^"]+"\n$/,
    );
    const { stdout } = await run('script', ['-qec', words.join(' '), '/dev/null']);
    assert(stdout.startsWith('\x1b[33mWARN\x1b[0m[0000] [rootlesskit:parent] --mtu is ignored '), stdout);
  });
});

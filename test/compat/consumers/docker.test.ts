import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  accepts,
  binPath,
  freePort,
  hostAddresses,
  isAlive,
  processTree,
  type RunResult,
  run,
  type Started,
  start,
  tempDir,
  waitFor,
} from '../../support/index.js';
import { busyboxTree } from './busybox-tree.js';
import { ImageRegistry } from './image-registry.js';
import { type Home, makeHome, removeTree } from './programs.js';

const script = '/usr/share/docker.io/contrib/dockerd-rootless.sh';

interface Docker {
  daemon: Started;
  docker(...args: string[]): Promise<RunResult>;
  must(...args: string[]): Promise<string>;
}

interface DockerOptions {
  env?: Record<string, string>;
  /** Options of dockerd. */
  args?: readonly string[];
}

async function startDocker(home: Home, { env = {}, args: options = [] }: DockerOptions = {}): Promise<Docker> {
  const all = { ...home.env, ...env, DOCKER_HOST: `unix://${home.env.XDG_RUNTIME_DIR}/docker.sock` };
  const docker = (...args: string[]) => run('docker', args, { env: all });
  const daemon = await start('sh', [script, ...options], {
    env: all,
    ready: { check: async () => (await docker('version')).code === 0 },
  });
  const must = async (...args: string[]) => {
    const { code, stdout, stderr } = await docker(...args);
    assert.equal(code, 0, `docker ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  return { daemon, docker, must };
}

async function importImage(home: Home, must: Docker['must']): Promise<void> {
  const tree = join(home.directory, 'tree');
  mkdirSync(tree);
  await busyboxTree(tree, 'from a container\n');
  const archive = join(home.directory, 'image.tar');
  assert.equal((await run('tar', ['-C', tree, '-cf', archive, '.'])).code, 0);
  await must('import', archive, 'box:1');
}

const get = async (url: string) => (await run('curl', ['-sS', '--max-time', '5', url])).stdout;

describe('rootless Docker', function () {
  this.timeout(90_000);
  let home: Home;
  beforeEach(() => {
    home = makeHome(tempDir());
  });
  afterEach(async () => {
    await removeTree(home.directory);
  });

  it('runs on rootlesskit, publishes ports through it, restarts containers, ends without a trace, and starts again', async () => {
    const port = await freePort('127.0.0.2');
    {
      const { daemon, must } = await startDocker(home);
      assert.match(await must('info'), /^ +rootless$/m);
      await importImage(home, must);
      const published = ['-p', `127.0.0.2:${port}:80`, '-p', `127.0.0.2:${port}:81/udp`];
      await must(
        'run',
        '-d',
        '--stop-timeout=1',
        '--name',
        'web',
        ...published,
        'box:1',
        'httpd',
        '-f',
        '-p',
        '80',
        '-h',
        '/www',
      );
      await waitFor(() => accepts('127.0.0.2', port));
      assert.equal(await get(`http://127.0.0.2:${port}/`), 'from a container\n');
      const owner = await run('ss', ['-Hltnup', `sport = :${port}`]);
      assert.equal(owner.stdout.match(new RegExp(`"rootlesskit",pid=${daemon.pid}\\b`, 'g'))?.length, 2, owner.stdout);

      await must('restart', '-t', '0', 'web');
      await waitFor(async () => (await get(`http://127.0.0.2:${port}/`)) === 'from a container\n');

      const tree = processTree(daemon.pid);
      assert(tree.length > 3);
      const { code } = await daemon.stop('SIGTERM');
      assert.equal(code, 0, daemon.output());
      assert.deepEqual(
        tree.filter(({ pid }) => isAlive(pid)),
        [],
      );
      const printed = daemon.output().split('\n');
      assert.deepEqual(
        printed.filter((line) => line.includes('[rootlesskit')),
        [],
      );
    }
    const { daemon, must } = await startDocker(home);
    await must('start', 'web');
    await waitFor(async () => (await get(`http://127.0.0.2:${port}/`)) === 'from a container\n');
    await must('rm', '-f', 'web');
    assert.equal(await accepts('127.0.0.2', port), false);
    await daemon.stop();
  });

  const hostAddress = hostAddresses.v4;
  if (hostAddress !== undefined) {
    it('pulls and builds on the network driver builtin, and its containers reach the host as their networks permit', async () => {
      const tree = join(home.directory, 'tree');
      mkdirSync(tree);
      await busyboxTree(tree, 'from an image\n');
      await using registry = await ImageRegistry.serve(hostAddress, 'box', tree);
      const { daemon, must, docker } = await startDocker(home, {
        env: { DOCKERD_ROOTLESS_ROOTLESSKIT_FLAGS: '--net=builtin', DOCKER_BUILDKIT: '0' },
        args: [`--insecure-registry=${registry.address}`],
      });
      const image = `${registry.address}/box:1`;
      await must('pull', image);
      const fetch = ['wget', '-qO-', `http://${registry.address}/v2/`];
      assert.equal(await must('run', '--rm', image, ...fetch), '{}');
      const dockerfile = `FROM ${image}\nRUN ${fetch.join(' ')} >/www/fetched\n`;
      const context = join(home.directory, 'context');
      mkdirSync(context);
      writeFileSync(join(context, 'Dockerfile'), dockerfile);
      await must('build', '-t', 'built:1', context);
      assert.equal(await must('run', '--rm', 'built:1', 'cat', '/www/fetched'), '{}');
      const closed = ['nc', '-w', '2', hostAddress, '1'];
      assert.match((await docker('run', '--rm', image, ...closed)).stderr, /Connection refused/);
      await must('network', 'create', '--internal', 'inner');
      assert.notEqual((await docker('run', '--rm', '--network=inner', image, ...fetch, '-T', '2')).code, 0);
      const port = await freePort('127.0.0.1');
      const httpd = ['httpd', '-f', '-p', '80', '-h', '/www'];
      await must('run', '-d', '--stop-timeout=1', '-p', `127.0.0.1:${port}:80`, image, ...httpd);
      await waitFor(async () => (await get(`http://127.0.0.1:${port}/`)) === 'from an image\n');
      assert.equal((await daemon.stop('SIGTERM')).code, 0, daemon.output());
    });
  }

  for (const [net, portDriver] of [
    ['slirp4netns', 'slirp4netns'],
    ['pasta', 'builtin'],
    ['pasta', 'pesto'],
    ['gvisor-tap-vsock', 'gvisor-tap-vsock'],
  ] as const) {
    it(`runs on ${net} with the port driver ${portDriver}`, async () => {
      const port = await freePort('127.0.0.1');
      const stateDir = join(home.directory, 'state');
      // The script knows no pasta, but the last of several options is the one that counts.
      const env: Record<string, string> = {
        DOCKERD_ROOTLESS_ROOTLESSKIT_NET: 'slirp4netns',
        DOCKERD_ROOTLESS_ROOTLESSKIT_PORT_DRIVER: portDriver,
        DOCKERD_ROOTLESS_ROOTLESSKIT_FLAGS: `--net=${net} --state-dir=${stateDir}`,
      };
      const { daemon, must } = await startDocker(home, { env });
      const { stdout: info } = await run(binPath('rootlessctl'), [`--socket=${stateDir}/api.sock`, 'info']);
      assert.match(info, new RegExp(`: ${net}\\n[^]*: ${portDriver}\\n`));
      await importImage(home, must);
      const httpd = ['httpd', '-f', '-p', '80', '-h', '/www'];
      await must('run', '-d', '--stop-timeout=1', '--name', 'web', '-p', `127.0.0.1:${port}:80`, 'box:1', ...httpd);
      await waitFor(async () => (await get(`http://127.0.0.1:${port}/`)) === 'from a container\n');
      assert.equal((await daemon.stop('SIGTERM')).code, 0, daemon.output());
    });
  }
});

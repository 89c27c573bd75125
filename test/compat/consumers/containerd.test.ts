import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binPath, freePort, run, start, tempDir, waitFor } from '../../support/index.js';
import { busyboxTree } from './busybox-tree.js';
import { type Home, makeHome, removeTree } from './programs.js';

/** ctr always asks for cgroup limits, which no user has here: this takes them out before runc sees them. */
const runcWithoutCgroups = `#!/bin/bash
prev=
for a in "$@"; do [ "$prev" = --bundle ] && bundle=$a; prev=$a; done
if [ -f "$bundle/config.json" ]; then
  jq 'del(.linux.resources, .linux.cgroupsPath)' "$bundle/config.json" > "$bundle/t" && mv "$bundle/t" "$bundle/config.json"
fi
exec runc "$@"
`;

function config(home: Home): string {
  const disabled = ['cri', 'internal.v1.opt', 'devmapper', 'btrfs', 'zfs', 'aufs'];
  const root = home.env.HOME;
  return `version = 2
root = "${root}/containerd"
state = "/run/containerd"
disabled_plugins = [${disabled.map((name) => JSON.stringify(name.includes('.') ? `io.containerd.${name}` : name === 'cri' ? 'io.containerd.grpc.v1.cri' : `io.containerd.snapshotter.v1.${name}`)).join(', ')}]
`;
}

describe('rootless containerd', function () {
  this.timeout(90_000);

  it('runs on rootlesskit as its own script starts it, with containers that ctr makes, and a port that is added later', async () => {
    const home = makeHome(tempDir());
    const stateDir = join(home.env.XDG_RUNTIME_DIR, 'containerd-rootless');
    const file = (name: string, text: string) => {
      const path = join(home.directory, name);
      writeFileSync(path, text);
      chmodSync(path, 0o755);
      return path;
    };
    const runc = file('runc', runcWithoutCgroups);
    const toml = file('config.toml', config(home));
    const inside = file(
      'inside.sh',
      `rm -rf /run/containerd; mkdir /run/containerd; exec containerd -c ${toml} --log-level=warn`,
    );
    try {
      const command = [
        ...['rootlesskit', `--state-dir=${stateDir}`, '--net=slirp4netns', '--mtu=65520', '--slirp4netns-sandbox=auto'],
        ...['--slirp4netns-seccomp=auto', '--disable-host-loopback', '--port-driver=builtin', '--copy-up=/etc'],
        ...['--copy-up=/run', '--propagation=rslave', '--pidns', 'sh', inside],
      ];
      const enter = async (...words: string[]) => {
        const pid = (await run('cat', [join(stateDir, 'child_pid')])).stdout;
        return run('nsenter', ['--preserve-credentials', '-m', '-U', '-n', '-p', '-t', pid, '--', ...words], {
          env: home.env,
        });
      };
      await using daemon = await start('env', command, {
        env: home.env,
        ready: { check: async () => (await enter('ctr', 'version')).code === 0 },
      });
      const must = async (...words: string[]) => {
        const { code, stdout, stderr } = await enter(...words);
        assert.equal(code, 0, `${words.join(' ')}: ${stderr}\n${daemon.output()}`);
        return stdout;
      };
      const archive = await imageArchive(home);
      await must('ctr', 'image', 'import', '--snapshotter', 'native', archive);
      const ctr = ['ctr', 'run', '--snapshotter', 'native', '--runc-binary', runc];
      const image = 'docker.io/library/box:1';
      const failed = await enter(...ctr, '--rm', image, 'one', '/bin/sh', '-c', 'exit 7');
      assert.equal(failed.code, 7, failed.stderr);

      const [port, childPort] = [await freePort('127.0.0.2'), 8088];
      const server = ['/bin/httpd', '-f', '-p', `${childPort}`, '-h', '/www'];
      await must(...ctr, '-d', '--net-host', image, 'web', ...server);
      const ctl = await run(binPath('rootlessctl'), [
        `--socket=${stateDir}/api.sock`,
        'add-ports',
        `127.0.0.2:${port}:${childPort}/tcp`,
      ]);
      assert.deepEqual([ctl.code, ctl.stdout], [0, '1\n'], ctl.stderr);
      const get = async () => (await run('curl', ['-sS', '--max-time', '5', `http://127.0.0.2:${port}/`])).stdout;
      await waitFor(async () => (await get()) === 'from containerd\n', { what: 'the page' });
    } finally {
      await removeTree(home.directory);
    }
  });
});

/** An image of busybox in the format of `docker save`. */
async function imageArchive(home: Home): Promise<string> {
  const tree = join(home.directory, 'tree');
  const image = join(home.directory, 'image');
  mkdirSync(tree);
  mkdirSync(image);
  await busyboxTree(tree, 'from containerd\n');
  assert.equal((await run('tar', ['-C', tree, '-cf', join(image, 'layer.tar'), '.'])).code, 0);
  const digest = (await run('sha256sum', [join(image, 'layer.tar')])).stdout.split(' ')[0];
  const rootfs = { type: 'layers', diff_ids: [`sha256:${digest}`] };
  const time = '2026-01-01T00:00:00Z';
  const configuration = { architecture: 'amd64', os: 'linux', created: time, config: {}, rootfs, history: [] };
  writeFileSync(join(image, 'config.json'), JSON.stringify(configuration));
  const manifest = [{ Config: 'config.json', RepoTags: ['box:1'], Layers: ['layer.tar'] }];
  writeFileSync(join(image, 'manifest.json'), JSON.stringify(manifest));
  const archive = join(home.directory, 'image.tar');
  const files = ['config.json', 'manifest.json', 'layer.tar'];
  assert.equal((await run('tar', ['-C', image, '-cf', archive, ...files])).code, 0);
  return archive;
}

import assert from 'node:assert/strict';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tempDir } from '../../../support/index.js';
import {
  busyboxRootfs,
  type ContainerStack,
  startContainer,
  startContainerStack,
} from '../../../support/stacks/containers.js';

describe('an OCI bundle', () => {
  it('may have paths that are relative to it', async () => {
    await using stack: ContainerStack = await startContainerStack();
    const bundle = tempDir();
    symlinkSync(busyboxRootfs(), join(bundle, 'root'));
    writeFileSync(join(bundle, 'data'), 'from the bundle\n');
    const config = {
      ociVersion: '1.0.2',
      root: { path: 'root' },
      process: { user: { uid: 0, gid: 0 }, cwd: '/', args: ['cat', '/tmp/data'], env: ['PATH=/bin'] },
      mounts: [
        { destination: '/proc', type: 'proc', source: 'proc' },
        { destination: '/tmp', type: 'tmpfs', source: 'tmpfs' },
        { destination: '/tmp/data', source: 'data', options: ['rbind', 'ro'] },
      ],
      linux: { namespaces: [{ type: 'pid' }, { type: 'mount' }, { type: 'network' }] },
    };
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(config));
    assert.equal(await stack.must('run', '--rm', '--bundle', bundle), 'from the bundle');
  });
});

describe('what cannot be started', () => {
  it('is reported in words', async () => {
    await using stack: ContainerStack = await startContainerStack();
    const bundle = tempDir();
    const bundled = (config: string) => {
      writeFileSync(join(bundle, 'config.json'), config);
      return { rootfs: undefined, command: undefined, bundle };
    };
    const publish = (hostIP: string) => [{ hostIP, hostPort: 0, containerPort: 80, protocol: 'tcp' as const }];
    const macOf = (mac: string) => ({ mode: 'networks' as const, networks: [{ network: 'bridge', mac }] });
    for (const [make, what] of [
      [() => bundled('{'), /config\.json is not a valid OCI bundle configuration: .*JSON/],
      [() => bundled('{"ociVersion":"1"}'), /config\.json is not a valid OCI bundle configuration: root: /],
      [() => ({ runtime: 'true' }), /true create \w+ failed: exit code \d+, without output/],
      [() => ({ publish: publish('fe80::1%lo') }), /"fe80::1%lo" is not an IP address without a zone/],
      [() => ({ network: macOf('00:00:00:00:00:00') }), /"00:00:00:00:00:00" is not a unicast MAC address/],
      [() => ({ addHosts: [{ host: 'a b', ip: '192.0.2.1' }] }), /"a b" is not the name of a host/],
    ] as const) {
      await assert.rejects(startContainer(stack, make()), what);
    }
    const { directory } = await startContainer(stack, {
      addHosts: [{ host: 'db_1', ip: '192.0.2.1' }],
      network: { mode: 'networks', networks: [{ network: 'bridge', aliases: ['web_1'] }] },
    });
    assert.match(readFileSync(join(directory, 'hosts'), 'utf8'), /\tdb_1\n[\s\S]*web_1/);
  });
});

import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ContainerError } from '../../../../../child/container/errors.js';
import { bundleCommand } from '../../../../../child/container/oci/bundle.js';
import { makeSpec, type SpecInput } from '../../../../../child/container/oci/spec.js';
import { OCI_HOOK } from '../../../../../native/index.js';
import { parseContainerRequest } from '../../../../../protocol/containers/schemas.js';
import { tempDir } from '../../../../support/index.js';

/** The configuration of a container that asks for that; a root file system and `true` by default. */
async function spec(request: Record<string, unknown> = {}, input: Partial<SpecInput> = {}) {
  const asked = request.bundle === undefined ? { rootfs: '/rootfs', command: ['true'], ...request } : request;
  const made = await makeSpec({
    id: 'c1',
    request: parseContainerRequest(asked),
    hostname: 'host1',
    nameFiles: '/files',
    netns: '',
    hooks: true,
    agentSocket: '/run/agent.sock',
    size: { columns: 80, rows: 24 },
    warn: () => {},
    ...input,
  });
  // As the runtime reads it.
  return JSON.parse(JSON.stringify(made)) as typeof made & {
    hostname: string;
    domainname?: string;
    annotations: Record<string, string>;
    mounts: { destination: string; source?: string; type?: string; options?: string[] }[];
  };
}

function bundle(config: unknown): string {
  const dir = tempDir();
  mkdirSync(join(dir, 'root'));
  writeFileSync(join(dir, 'config.json'), typeof config === 'string' ? config : JSON.stringify(config));
  return dir;
}

describe('the OCI configuration of a root file system', () => {
  it('has the program, its surroundings, and a name', async () => {
    const made = await spec({
      command: ['sh', '-c', 'true'],
      env: ['A=1', 'PATH=/opt'],
      cwd: '/srv',
      user: '5:6',
      domainname: 'example.org',
      readOnly: true,
    });
    assert.deepEqual(made.root, { path: '/rootfs', readonly: true });
    const { args, env, cwd, user, terminal } = made.process;
    assert.deepEqual(
      { args, env, cwd, user, terminal },
      {
        args: ['sh', '-c', 'true'],
        env: ['PATH=/opt', 'HOSTNAME=host1', 'A=1'],
        cwd: '/srv',
        user: { uid: 5, gid: 6 },
        terminal: false,
      },
    );
    assert.deepEqual(
      [made.hostname, made.domainname, made.annotations],
      ['host1', 'example.org', { 'rootless-net/id': 'c1' }],
    );
    assert.equal((await spec({ tty: true })).process.env.includes('TERM=xterm'), true);
  });

  it('gives capabilities to root only', async () => {
    for (const [user, some] of [
      ['0', true],
      ['0:7', true],
      ['1000', false],
    ] as const) {
      const { effective, permitted, bounding } = (await spec({ user })).process.capabilities as Record<
        string,
        string[]
      >;
      assert.deepEqual([effective?.length !== 0, permitted?.length !== 0, bounding?.length !== 0], [some, some, true]);
    }
  });

  const named = ['/etc/resolv.conf', '/etc/hosts', '/etc/hostname'];
  it('mounts the name files, unless the user mounts something there', async () => {
    const own = await spec();
    const mounts = own.mounts.filter(({ destination }) => named.includes(destination));
    assert.deepEqual(
      mounts.map(({ destination, source }) => [destination, source]),
      named.map((destination) => [destination, destination.replace('/etc', '/files')]),
    );
    const dir = tempDir();
    writeFileSync(join(dir, 'hosts'), '');
    const { mounts: all } = await spec({ mounts: [`${dir}/hosts:/etc/hosts:ro`, `${dir}:/b`] });
    const found = all.filter(({ destination }) => destination === '/etc/hosts' || destination === '/b');
    assert.deepEqual(found, [
      { destination: '/b', type: 'bind', source: dir, options: ['rbind', 'rprivate', 'rw'] },
      { destination: '/etc/hosts', type: 'bind', source: `${dir}/hosts`, options: ['rbind', 'rprivate', 'ro'] },
    ]);
  });

  for (const [what, netns, expected, sysctl] of [
    ['one of its own', '', [{ type: 'network' }], { 'net.ipv4.ip_unprivileged_port_start': '0' }],
    ['that of another container', '/proc/7/ns/net', [{ type: 'network', path: '/proc/7/ns/net' }], {}],
    ["the stack's", undefined, [], {}],
  ] as const) {
    it(`has as network namespace ${what}`, async () => {
      const { linux } = await spec({}, { netns });
      assert.deepEqual(
        linux.namespaces.filter(({ type }) => type === 'network'),
        expected,
      );
      assert.deepEqual(linux.sysctl, sysctl);
      assert.equal(linux.namespaces.filter(({ type }) => type === 'uts').length, 1);
    });
  }

  it('is confined, and limited in processes if a cgroup can do that', async () => {
    const cgroup = (controllers: string[]) => ({ cgroup: { path: '/x', controllers } });
    const made = await spec({}, cgroup(['cpu', 'pids']));
    assert.ok(made.linux.seccomp);
    assert.deepEqual(made.linux.resources, { pids: { limit: 2048 } });
    assert.equal((await spec({}, cgroup(['cpu']))).linux.resources, undefined);
    assert.equal((await spec({})).linux.resources, undefined);
    assert.deepEqual((await spec({ pidsLimit: 9 }, cgroup(['pids']))).linux.resources, { pids: { limit: 9 } });
    assert.equal((await spec({ pidsLimit: -1 }, cgroup(['pids']))).linux.resources, undefined);
    const warnings: string[] = [];
    await spec({ pidsLimit: 9 }, { warn: (line) => warnings.push(line) });
    assert.match(warnings.join('\n'), /^--pids-limit=9 has no effect: .*$/);
    const open = await spec({ seccomp: 'unconfined', noNewPrivileges: true });
    assert.deepEqual([open.linux.seccomp, open.process.noNewPrivileges], [undefined, true]);
  });

  it('has hooks if there are networks', async () => {
    const { hooks } = await spec();
    for (const event of ['createRuntime', 'poststop'] as const) {
      const [hook, ...more] = hooks?.[event] ?? [];
      assert.deepEqual([hook?.path, hook?.args, more], [OCI_HOOK, ['oci_hook', event, '/run/agent.sock'], []]);
    }
    assert.equal((await spec({}, { hooks: false })).hooks, undefined);
  });
});

describe('the OCI configuration of a bundle', () => {
  const config = {
    ociVersion: '1.0.2',
    root: { path: 'root', readonly: true },
    process: { args: ['serve'], env: ['PATH=/bin', 'odd', 'A=1'], cwd: '/w', user: { uid: 3, gid: 4, umask: 18 } },
    mounts: [{ destination: '/etc/hosts', type: 'bind', source: '/theirs' }],
    hooks: { createRuntime: [{ path: '/bin/mine', args: ['mine'] }], prestart: [{ path: '/bin/old' }] },
    linux: {
      namespaces: [{ type: 'pid' }, { type: 'network', path: '/elsewhere' }],
      sysctl: { 'net.ipv4.ip_unprivileged_port_start': '1024', 'net.ipv4.tcp_tw_reuse': '1' },
      seccomp: { defaultAction: 'SCMP_ACT_ALLOW' },
    },
    annotations: { theirs: 'x' },
    vm: { kernel: { path: '/k' } },
  };

  it("is the user's except for what belongs to the network", async () => {
    const dir = bundle(config);
    assert.deepEqual(await bundleCommand(dir), ['serve']);
    const made = await spec({ bundle: dir, env: ['A=2', 'B=3'] });
    assert.deepEqual(made.root, { path: join(dir, 'root'), readonly: true });
    assert.deepEqual(made.process, {
      ...config.process,
      env: ['PATH=/bin', 'odd', 'A=2', 'HOSTNAME=host1', 'B=3'],
      terminal: false,
    });
    assert.deepEqual(
      made.mounts.map(({ destination, source }) => [destination, source]),
      [
        ['/etc/hosts', '/theirs'],
        ['/etc/resolv.conf', '/files/resolv.conf'],
        ['/etc/hostname', '/files/hostname'],
      ],
    );
    assert.deepEqual(
      [made.hooks?.createRuntime?.map(({ path }) => path), made.hooks?.poststop?.map(({ path }) => path)],
      [['/bin/mine', OCI_HOOK], [OCI_HOOK]],
    );
    assert.deepEqual(made.hooks?.prestart, [{ path: '/bin/old' }]);
    assert.deepEqual(made.linux, {
      ...config.linux,
      namespaces: [{ type: 'pid' }, { type: 'network' }, { type: 'uts' }],
    });
    assert.deepEqual(made.annotations, { theirs: 'x', 'rootless-net/id': 'c1' });
    assert.deepEqual(made.vm, config.vm);
  });

  it('is overridden by the command line', async () => {
    const path = tempDir();
    const dir = bundle({ ...config, root: { path } });
    const made = await spec({ bundle: dir, command: ['other'], cwd: '/x', user: '8', readOnly: true, tty: true });
    const { args, cwd, user, terminal } = made.process;
    assert.deepEqual(
      [made.root, args, cwd, user, terminal],
      [{ path, readonly: true }, ['other'], '/x', { uid: 8, gid: 0, umask: 18 }, true],
    );
  });

  it('is refused in a line if it is invalid', async () => {
    for (const [text, what] of [
      ['{', /config\.json is not a valid OCI bundle configuration: /],
      ['{}', /config\.json is not a valid OCI bundle configuration: /],
      [
        { ...config, process: { args: 'sh' } },
        /config\.json is not a valid OCI bundle configuration: process\.args: "sh" is not an array$/,
      ],
    ] as const) {
      const refused = spec({ bundle: bundle(text) });
      await assert.rejects(refused, (error: Error) => {
        assert(error instanceof ContainerError, String(error));
        assert.match(error.message, what);
        assert.doesNotMatch(error.message, /\n|: [[{]$/);
        return true;
      });
    }
    const lost = bundle({ ...config, root: { path: 'lost' } });
    await assert.rejects(spec({ bundle: lost }), {
      message: `cannot use the root file system ${lost}/lost (${lost}/config.json): no such file or directory`,
    });
    const strange = tempDir();
    mkdirSync(join(strange, 'config.json'));
    await assert.rejects(spec({ bundle: strange }), {
      message: `cannot use the OCI bundle ${strange} (--bundle): ${strange}/config.json: it is a directory`,
    });
    const device = tempDir();
    symlinkSync('/dev/null', join(device, 'config.json'));
    await assert.rejects(spec({ bundle: device }), {
      message: `cannot use the OCI bundle ${device} (--bundle): ${device}/config.json is not a regular file`,
    });
    const nothing = tempDir();
    await assert.rejects(spec({ bundle: nothing }), {
      message: `no OCI bundle in ${nothing}: ${nothing}/config.json does not exist`,
    });
  });
});

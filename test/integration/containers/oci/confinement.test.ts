// What the programs of a container cannot do, unless the user allows it.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NewContainer } from '../../../../parent/client/container-client.js';
import { run, tempDir } from '../../../support/index.js';
import { busyboxRootfs, HOST_PROGRAMS, startContainer, tryIn } from '../../../support/stacks/containers.js';

/** Calls of the kernel by their numbers on x86-64, with arguments that fail otherwise or do no harm. */
const CALLS: Readonly<Record<string, readonly number[]>> = {
  keyctl: [250, 0, -3, 0],
  add_key: [248, 0, 0, 0, 0, -3],
  unshare: [272, 0x10000000],
  mount: [165, 0, 0, 0, 0, 0],
  setns: [308, -1, 0],
  bpf: [321, 0, 0, 0],
  userfaultfd: [323, 0],
  perf_event_open: [298, 0, 0, 0, 0, 0],
  open_by_handle_at: [304, -1, 0, 0],
  clock_settime: [227, 0, 0],
  init_module: [175, 0, 0, 0],
  kexec_load: [246, 0, 0, 0, 0],
  swapon: [167, 0, 0],
  reboot: [169, 0, 0, 0, 0],
  syslog: [103, 3, 0, 0],
  io_uring_setup: [425, 0, 0],
  clone3: [435, 0, 0],
};

/** Prints the name of the error of each call, or ok. */
const PROGRAM = pythonProgram('processes/system-calls');

import { pythonProgram } from '../../../support/paths.js';
import { withContainerStack } from '../../../support/stacks/with-stack.js';

for (const runtime of ['runc', 'crun']) {
  describe(`a container is confined, with ${runtime}`, () => {
    const stack = withContainerStack({ keep: true });

    const container = (request: NewContainer = {}) =>
      startContainer(stack, { runtime, network: { mode: 'none' }, mounts: HOST_PROGRAMS, ...request });
    const errors = async (id: string, names = Object.keys(CALLS)) => {
      const calls = Object.fromEntries(names.map((name) => [name, CALLS[name]]));
      const { code, output } = await tryIn(stack, id, 'python3', '-c', PROGRAM, JSON.stringify(calls));
      assert.equal(code, 0, output);
      return Object.fromEntries(
        output
          .trim()
          .split('\n')
          .map((line) => line.split(' ')),
      );
    };

    it('to the system calls that it needs', async function () {
      if (process.arch !== 'x64') this.skip();
      const { id } = await container();
      assert.match((await tryIn(stack, id, 'grep', 'Seccomp:', '/proc/1/status')).output, /\t2\n/);
      const expected = Object.keys(CALLS).map((name) => [name, /^(io_uring|clone3)/.test(name) ? 'ENOSYS' : 'EPERM']);
      assert.deepEqual(await errors(id), Object.fromEntries(expected));
      assert.notEqual((await tryIn(stack, id, 'busybox', 'unshare', '-U', 'true')).code, 0);
      assert.notEqual((await tryIn(stack, id, 'mount', '-t', 'tmpfs', 'x', '/tmp')).code, 0);
      // Threads and processes are made as ever.
      const threads =
        'import threading, subprocess as s; threading.Thread(target=print).start(); s.run(["true"], check=True)';
      assert.equal((await tryIn(stack, id, 'python3', '-c', threads)).code, 0);
      await stack.containers.remove(id, { force: true });
    });

    it('unless the user wants it otherwise', async function () {
      if (process.arch !== 'x64') this.skip();
      const open = await container({ seccomp: 'unconfined', noNewPrivileges: true });
      const status = (await tryIn(stack, open.id, 'grep', '-E', 'Seccomp:|NoNewPrivs:', '/proc/1/status')).output;
      assert.deepEqual(status.match(/\t\d/g), ['\t1', '\t0']);
      assert.equal((await tryIn(stack, open.id, 'busybox', 'unshare', '-U', 'true')).code, 0);
      const file = join(tempDir(), 'profile.json');
      const names = ['mkdir', 'mkdirat'];
      const profile = {
        defaultAction: 'SCMP_ACT_ALLOW',
        syscalls: [
          { names, action: 'SCMP_ACT_ERRNO', errnoRet: 30 },
          { names: ['unlink', 'unlinkat'], action: 'SCMP_ACT_ERRNO', excludes: { caps: ['CAP_KILL'] } },
        ],
      };
      writeFileSync(file, JSON.stringify(profile));
      const words = [
        '--security-opt',
        `seccomp=${file}`,
        '--rootfs',
        busyboxRootfs(),
        '--runtime',
        runtime,
        '--net=none',
      ];
      const result = await stack.net('run', '--rm', ...words, 'sh', '-c', 'touch /tmp/x && rm /tmp/x; mkdir /tmp/y');
      assert.match(result.stderr, /Read-only file system/);
      assert.doesNotMatch(result.stderr, /\/tmp\/x/);
      await stack.containers.remove(open.id, { force: true });
    });

    it('in what it sees of the kernel', async () => {
      const { id } = await container();
      const output = async (...command: string[]) => (await tryIn(stack, id, ...command)).output;
      // Not every kernel has all of them.
      assert.equal(await output('sh', '-c', 'cat /proc/kcore /proc/keys /proc/timer_list 2>/dev/null'), '');
      assert.match(await output('sh', '-c', 'echo x > /proc/sys/kernel/hostname'), /Read-only file system/);
      assert.match(await output('mkdir', '/sys/kernel/x'), /Read-only file system|Operation not permitted/);
      const mounts = await output('cat', '/proc/self/mounts');
      assert.match(mounts, /^proc \/proc proc rw,nosuid,nodev,noexec/m);
      assert.match(mounts, /^sysfs \/sys sysfs ro,/m);
      await stack.containers.remove(id, { force: true });
    });
  });
}

describe('options of confinement', () => {
  const stack = withContainerStack({ env: { SECRET_OF_THE_AGENT: 'yes' }, keep: true });

  it('that are invalid are refused in one line, with nothing created', async () => {
    const directory = tempDir();
    const file = (name: string, text: string) => {
      writeFileSync(join(directory, name), text);
      return join(directory, name);
    };
    mkdirSync(join(directory, 'dir'));
    await run('mkfifo', [join(directory, 'fifo')]);
    const strange = '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_DENY"}]}';
    for (const [option, what] of [
      [`seccomp=${join(directory, 'none')}`, /seccomp profile \S+\/none does not exist$/],
      [`seccomp=${file('text', 'no json')}`, /invalid seccomp profile \S+\/text: /],
      [`seccomp=${file('empty', '{}')}`, /invalid seccomp profile \S+\/empty: defaultAction: /],
      [`seccomp=${file('strange', strange)}`, /invalid seccomp profile \S+\/strange: syscalls\.0\.action: /],
      [`seccomp=${join(directory, 'fifo')}`, /invalid seccomp profile: \S+\/fifo is not a regular file$/],
      [`seccomp=${join(directory, 'dir')}`, /cannot read seccomp profile \S+\/dir: /],
      ['apparmor=x', /invalid --security-opt "apparmor=x": expected seccomp=FILE/],
      ['seccomp', /invalid --security-opt "seccomp": /],
    ] as const) {
      const words = ['run', '-d', '--security-opt', option, '--rootfs', busyboxRootfs(), 'true'];
      const { code, stdout, stderr } = await stack.net(...words);
      assert.deepEqual([code !== 0, stdout, stderr.split('\n').length], [true, '', 2], stderr);
      assert.match(stderr.trim(), what);
    }
    const limit = await stack.net('run', '--pids-limit', 'many', '--rootfs', busyboxRootfs(), 'true');
    assert.match(limit.stderr, /^error: invalid --pids-limit "many": .*\n$/);
    assert.deepEqual(await stack.containers.list(), []);
  });

  it("keep the agent's environment from runtimes and their hooks", async () => {
    const directory = tempDir();
    const runtime = join(directory, 'runc');
    writeFileSync(runtime, `#!/bin/sh\nenv >> ${directory}/env\nexec runc "$@"\n`, { mode: 0o755 });
    const { id } = await startContainer(stack, { runtime, network: { mode: 'none' } });
    await tryIn(stack, id, 'true');
    await stack.containers.remove(id, { force: true });
    const { stdout } = await run('cat', [join(directory, 'env')]);
    assert.match(stdout, /^PATH=/m);
    assert.doesNotMatch(stdout, /SECRET|ROOTLESS/);
  });
});

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binPath, run, tempDir, waitFor } from '../../../support/index.js';
import { busyboxRootfs, IDLE, makeBusyboxRootfs } from '../../../support/stacks/containers.js';
import { withContainerStack } from '../../../support/stacks/with-stack.js';

describe("options of rootless-net run that are docker's", () => {
  const stack = withContainerStack({ keep: true });
  const rootfs = () => ['--rootfs', busyboxRootfs()];
  /** What a script in a container writes, which has to succeed. */
  const inside = (script: string, ...options: string[]) =>
    stack.must('run', '--rm', ...options, ...rootfs(), 'sh', '-c', script);

  it('set sysctls of its own namespaces', async () => {
    const show =
      'cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax';
    assert.equal(
      await inside(show, '--sysctl', 'net.ipv4.ip_forward=1', '--sysctl', 'kernel/msgmax=4096'),
      '0\n1\n4096',
    );
    assert.match(await inside(show, '--sysctl=net.ipv4.ip_unprivileged_port_start=99', '--net=none'), /^99\n/);
  });

  it('give and take capabilities', async () => {
    const addLink = 'ip link add rnt0 type veth peer name rnt1 && ip link show rnt0 >/dev/null && echo made';
    assert.equal(await inside(addLink, '--cap-add=net_admin'), 'made');
    const refused = await stack.net('run', '--rm', ...rootfs(), 'sh', '-c', addLink);
    assert.notEqual(refused.code, 0);
    // Packet filters and routes are the container's own to set.
    const host = ['/usr', '/lib', '/lib64'].filter(existsSync).flatMap((path) => ['-v', `${path}:${path}:ro`]);
    const filter = '/usr/sbin/nft add table inet own && /usr/sbin/nft list tables && ip route add 10.99.0.0/16 dev lo';
    assert.equal(await inside(filter, '--cap-add=NET_ADMIN', ...host), 'table inet own');
    const effective = 'grep CapEff /proc/self/status';
    assert.equal(await inside(effective, '--cap-drop=ALL'), 'CapEff:\t0000000000000000');
    assert.equal(await inside(effective, '--cap-drop=all', '--cap-add', 'CAP_CHOWN'), 'CapEff:\t0000000000000001');
  });

  it('set what its program finds: environment, entrypoint, mounts, limits, groups', async () => {
    const dir = tempDir();
    writeFileSync(join(dir, 'env'), '# comment\nA=1\nB="x y"\nPASSED\nNOT_SET\n');
    writeFileSync(join(dir, 'file'), 'content\n');
    const { stdout, stderr } = await run(
      binPath('rootless-net'),
      [
        ...[
          'run',
          '--rm',
          '--env-file',
          join(dir, 'env'),
          '-e',
          'A=2',
          '--entrypoint',
          'sh',
          '-v',
          './file:/etc/mounted:ro',
        ],
        ...['--tmpfs', '/scratch:size=64k,mode=0700', '--mount', `type=bind,src=${dir},dst=/in/there,readonly`],
        ...['--shm-size=1m', '--ulimit', 'nofile=64:128', '--group-add', '5', ...rootfs(), '--', '-c'],
        'echo "$A $B $PASSED $(env | grep -c NOT_SET)"; cat /etc/mounted /in/there/file; stat -c %a /scratch; ' +
          'df -k /scratch /dev/shm | awk "NR > 1 { print \\$2 }"; ulimit -Sn; ulimit -Hn; id -G; touch /in/there/x 2>&1',
      ],
      { env: { ...stack.env, PASSED: 'on' }, cwd: dir },
    );
    assert.equal(stderr, '');
    assert.deepEqual(stdout.trim().split('\n'), [
      ...['2 "x y" on 0', 'content', 'content', '700', '64', '1024', '64', '128', '0 5'],
      'touch: /in/there/x: Read-only file system',
    ]);
  });

  it('take users and groups by the names that the root file system has', async () => {
    const root = makeBusyboxRootfs(tempDir());
    const etc = join(root, 'etc');
    const inside = (script: string, ...options: string[]) =>
      stack.must('run', '--rm', ...options, '--rootfs', root, 'sh', '-c', script);
    writeFileSync(join(etc, 'passwd'), 'root:x:0:0::/:/bin/sh\nweb:x:7:8::/:/bin/sh\n');
    writeFileSync(join(etc, 'group'), 'root:x:0:\nwww:x:8:\nlogs:x:9:web\n');
    const ids = 'echo $(id -u):$(id -g):$(id -G)';
    assert.equal(await inside(ids, '--user', 'web'), '7:8:8 9');
    assert.equal(await inside(ids, '--user', 'web:root', '--group-add', 'www'), '7:0:0 8');
    const { code, stderr } = await stack.net('run', '--user', 'nobody-there', '--rootfs', root, 'true');
    assert.notEqual(code, 0);
    assert.match(stderr, /^error: no user nobody-there in \S+\/etc\/passwd \(--user nobody-there\); hint: .*\n$/);
  });

  it('put a first process before it that hands on signals and waits for orphans', async () => {
    const script = 'trap "echo asked; exit 3" USR1; (true &); sleep 60 & kill -USR1 1; wait; wait';
    const { code, stdout, stderr } = await stack.net('run', '--rm', '--init', ...rootfs(), 'sh', '-c', script);
    assert.deepEqual([code, stdout, stderr], [3, 'asked\n', '']);
    const orphans = '(sh -c "sleep 0.01 &"); sleep 0.1; ls -d /proc/[0-9]* | wc -l; cat /proc/1/comm';
    assert.match(await inside(orphans, '--init'), /^[1-5]\ninit$/);
    const missing = await stack.net('run', '--rm', '--init', ...rootfs(), 'no-such-program');
    assert.deepEqual(
      [missing.code, missing.stderr],
      [127, 'error: command not found in the container: no-such-program; hint: check its name, and PATH inside\n'],
    );
  });

  it('make no session keyring for it, of which a user can have 200, unless it could reach it', async () => {
    const [dir, log] = [tempDir(), join(tempDir(), 'log')];
    const runtime = join(dir, 'runc');
    writeFileSync(runtime, `#!/bin/sh\necho "$@" >> ${log}\nexec runc "$@"\n`, { mode: 0o755 });
    await inside('true', '--runtime', runtime);
    assert.match(readFileSync(log, 'utf8'), / create .*--no-new-keyring/);
    writeFileSync(log, '');
    await inside('true', '--runtime', runtime, '--security-opt', 'seccomp=unconfined');
    assert.doesNotMatch(readFileSync(log, 'utf8'), /--no-new-keyring/);
  });

  it('end it by its signal, after its time', async () => {
    /** Once it has written that it is ready so often. */
    const stopWhenReady = async (runs: number, ...words: string[]) => {
      const ready = async () => (await stack.must('logs', 's')).match(/ready/g)?.length === runs;
      await waitFor(ready, { what: 'its traps' });
      await stack.must('stop', ...words, 's');
      return (await stack.containers.inspect('s')).exitCode;
    };
    const loop = 'echo ready; while :; do sleep 0.05; done';
    const script = `trap "exit 9" INT; trap "" TERM; ${loop}`;
    await stack.must('run', '-d', '--name', 's', '--stop-signal', 'sigint', ...rootfs(), 'sh', '-c', script);
    assert.equal(await stopWhenReady(1), 9);
    await stack.must('rm', 's');
    const stubborn = ['sh', '-c', `trap "" TERM; trap "exit 8" USR1; ${loop}`];
    await stack.must('run', '-d', '--name', 's', '--stop-timeout', '0', ...rootfs(), ...stubborn);
    assert.equal(await stopWhenReady(1), 137);
    await stack.must('start', 's');
    assert.equal(await stopWhenReady(2, '--signal', 'USR1', '--timeout=-1'), 8);
    await stack.must('rm', 's');
  });

  it('write files with its id and its pid', async () => {
    const dir = tempDir();
    const [cid, pid] = [join(dir, 'cid'), join(dir, 'pid')];
    const files = ['--cidfile', cid, '--pidfile', pid];
    const id = await stack.must('run', '-d', '--name', 'f', ...files, ...rootfs(), ...IDLE);
    assert.equal(readFileSync(cid, 'utf8'), id);
    assert.equal(Number(readFileSync(pid, 'utf8')), (await stack.containers.inspect('f')).pid);
    const again = await stack.net('run', '-d', '--name', 'g', ...files, ...rootfs(), ...IDLE);
    assert.notEqual(again.code, 0);
    assert.match(again.stderr, /^error: the container id file \S+\/cid \(--cidfile\) exists; hint: .*\n$/);
    await stack.must('rm', '-f', 'f');
    assert.equal(existsSync(pid), false);
    assert.equal(readFileSync(cid, 'utf8'), id);
    const failed = await stack.net('run', '-d', '--cidfile', join(dir, 'other'), ...rootfs(), 'no-such-program');
    assert.notEqual(failed.code, 0);
    assert.equal(existsSync(join(dir, 'other')), false);
  });

  it('are refused in one line if they cannot be, with nothing left', async () => {
    const file = join(tempDir(), 'file');
    writeFileSync(file, '');
    for (const [args, what] of [
      [
        ['-v', '/no/such:/x', ...rootfs()],
        /cannot mount \/no\/such at \/x \(-v\): no such file or directory; hint: mkdir -p/,
      ],
      [['--rootfs', '/'], /cannot use the root file system \/ \(--rootfs\): it is the host's own; hint: /],
      [['--rootfs', '/proc/self/root'], /it is the host's own; hint: /],
      [['--rootfs', file], /cannot use the root file system \S+\/file \(--rootfs\): it is not a directory/],
      [['-v', `${file}:/bin`, ...rootfs()], /\/file is a file, but \/bin is a directory in /],
      [['--sysctl', 'net.ipv4.no_such=1', ...rootfs()], /--sysctl net\.ipv4\.no_such: no such setting/],
      [
        ['--net=host', '--sysctl', 'net.ipv4.ip_forward=1', ...rootfs()],
        /net\.ipv4\.ip_forward cannot be combined with --network=host/,
      ],
      [['--ulimit', 'nofile=99999999999', ...rootfs()], /--ulimit nofile=\S+ exceeds the stack's own hard limit \d+/],
      [['--rm', '--restart=always', ...rootfs()], /--rm cannot be combined with --restart/],
      [['--user', '3000000', ...rootfs()], /the user id 3000000 \(--user 3000000\) is not mapped in the stack/],
    ] as const) {
      const { code, stdout, stderr } = await stack.net('run', '-d', '--name', 'refused', ...args, 'true');
      assert.notEqual(code, 0, args.join(' '));
      assert.match(stderr, what);
      assert.match(stderr, /^error: [^\n]*\n$/);
      assert.equal(stdout, '');
    }
    assert.equal(await stack.must('ps', '-aq'), '');
  });
});

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { run, startStack, tempDir } from '../../support/index.js';
import { pathWith, runNested, runScript, runWords } from '../../support/stacks/rootless-run.js';
import { runInTerminal } from '../../support/terminal.js';

const MAPS = 'cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; grep CapEff /proc/self/status';

/** Lines with their words one blank apart. */
function lines(text: string): string[] {
  return text
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).join(' '));
}

describe('id maps', () => {
  const { uid, gid, username } = userInfo();
  /** For runNested: hides the user's sub-ids, and continues as the user, who is not root. */
  const withoutSubIds =
    'mount --bind "$1" /etc/subuid; mount --bind "$1" /etc/subgid; shift;' +
    ` exec unshare --user --map-user=${uid} --map-group=${gid} "$@"`;

  it('have root alone for a user without sub-ids, and a line explains how to get some', async () => {
    const words = ['/dev/null', ...runWords('--net=none', 'sh', '-c', MAPS)];
    const { stdout, stderr, code } = await runNested(withoutSubIds, words);
    assert.deepEqual(lines(stdout), [`0 ${uid} 1`, `0 ${gid} 1`, 'deny', 'CapEff: 000001ffffffffff']);
    assert.match(
      stderr,
      new RegExp(
        `^rootless-run: warning: only root is mapped .*${username}.*/etc/subuid.*usermod --add-subuids[^\n]*\n$`,
      ),
    );
    assert.equal(code, 0);
  });

  for (const [missing, there] of [
    ['newuidmap', 'newgidmap'],
    ['newgidmap', 'newuidmap'],
  ] as const) {
    it(`have root alone without ${missing}, and a line explains how to get it`, async () => {
      const env = { PATH: pathWith(['sh', 'cat', 'grep', there]) };
      const { stdout, stderr, code } = await runScript(MAPS, ['--net=none'], { env });
      assert.deepEqual(lines(stdout).slice(0, 3), [`0 ${uid} 1`, `0 ${gid} 1`, 'deny']);
      assert.match(
        stderr,
        new RegExp(`^rootless-run: warning: only root is mapped .*${missing} is not installed.*uidmap[^\n]*\n$`),
      );
      assert.equal(code, 0);
    });
  }

  it('take all ranges that getsubids knows if the files have none', async () => {
    const fakes = {
      getsubids: 'case $1 in -g) echo 0: x 5000 10;; *) printf "0: x 1000 5\\n1: x 3000 7\\n";; esac',
      newuidmap: 'echo "uids $@" >&2; exit 1',
      newgidmap: 'exit 0',
    };
    const env = { PATH: `${pathWith([], fakes)}:${process.env.PATH}` };
    const { stderr, code } = await runNested(withoutSubIds, ['/dev/null', ...runWords('--net=none', 'true')], { env });
    assert.match(stderr, new RegExp(`uids \\d+ 0 ${uid} 1 1 1000 5 6 3000 7[;\\s]`));
    assert.equal(code, 125);
  });

  /** Files of sub-ids, which the launcher (process/sub_ids.c) or else JavaScript reads, and the ranges that count. */
  const files: [what: string, lines: string[], expected: string][] = [
    ['by name and by uid', ['nobody-else:1:9', `${username}:1000:5`, `${uid}:3000:7`], '1 1000 5 6 3000 7'],
    ['once each', [`${username}:1000:5`, `${uid}:1000:7`], '1 1000 5'],
    ['with blanks around them', [`  ${username}:1000:5 `, '', `${username}:3000:7`], '1 1000 5 6 3000 7'],
    ['and nothing that is not a range', [`${username}:x:5`, `${username}:7:0`, `${username}:1000:5`], '1 1000 5'],
  ];
  for (const [what, text, expected] of files) {
    it(`take the ranges of the user ${what}`, async () => {
      const file = join(tempDir(), 'sub-ids');
      writeFileSync(file, `${text.join('\n')}\n`);
      const fakes = { newuidmap: 'echo "uids $@" >&2; exit 1', newgidmap: 'exit 0' };
      const env = { PATH: `${pathWith([], fakes)}:${process.env.PATH}` };
      const { stderr, code } = await runNested(withoutSubIds, [file, ...runWords('--net=none', 'true')], { env });
      assert.match(stderr, new RegExp(`uids \\d+ 0 ${uid} 1 ${expected}[;\\s]`));
      assert.equal(code, 125);
    });
  }

  it('leave ids as they are for root of a user namespace, and need no helper for that', async () => {
    const env = { PATH: pathWith(['sh', 'cat', 'grep', 'unshare']) };
    const one = await runNested('exec "$@"', runWords('--net=none', 'sh', '-c', MAPS), { env });
    assert.deepEqual([one.stderr, one.code], ['', 0]);
    assert.deepEqual(lines(one.stdout), ['0 0 1', '0 0 1', 'deny', 'CapEff: 000001ffffffffff']);

    const words = runWords('--net=none', 'sh', '-c', `${MAPS}; id -G`);
    const many = await run('unshare', ['--user', '--map-root-user', '--map-auto', ...words]);
    assert.deepEqual([many.stderr, many.code], ['', 0]);
    const [root, rest, ...others] = lines(many.stdout);
    assert.deepEqual([root, others[2]], ['0 0 1', 'allow']);
    assert.match(rest ?? '', /^1 1 \d+$/);
  });

  it('let root inside give files to the other ids', async () => {
    const directory = tempDir();
    const { stdout, code } = await runScript(
      'touch file && chown 1000:1000 file && stat -c %u:%g file && rm file',
      ['--net=none'],
      { cwd: directory },
    );
    assert.deepEqual([stdout, code], ['1000:1000\n', 0]);
  });
});

describe('the namespaces', () => {
  it('let the command set up networks of its own', async () => {
    const { stdout, stderr, code } = await runScript(
      'cat /sys/class/net/lo/flags; ip link add v0 type veth peer name v1 && ip addr add 10.9.0.1/24 dev v0 &&' +
        ' echo 1 > /proc/sys/net/ipv4/ip_forward && unshare --net ip link set lo up',
    );
    assert.deepEqual([stdout, stderr, code], ['0x9\n', '', 0]);
  });

  for (const [driver, devices] of [
    ['builtin', 'eth0\nlo'],
    ['slirp4netns', 'lo\ntap0'],
    ['pasta', 'lo\ntap0'],
  ]) {
    it(`show their own devices below /sys, and the host's cgroups (${driver})`, async () => {
      const { stdout } = await runScript('ls /sys/class/net; echo; ls /sys/fs/cgroup', [`--net=${driver}`]);
      const [found = '', cgroups = ''] = stdout.split('\n\n');
      assert.equal(found, devices);
      assert.deepEqual(cgroups.split('\n').filter(Boolean), readdirSync('/sys/fs/cgroup').sort());
    });
  }

  it('with --pidns have the launcher as the first process, which reaps, and a /proc of their own', async () => {
    const zombies =
      '(true &); n=0; while grep -qs "^State:.Z" /proc/[0-9]*/status && test $n -lt 200; do n=$((n+1)); sleep 0.02; done;' +
      ' grep -hs "^State:.Z" /proc/[0-9]*/status | wc -l';
    const script = `cat /proc/1/comm; test -e /proc/$$ && echo ours; ${zombies}; tr "\\0" "\\n" < /proc/1/environ | grep -c ^ROOTLESSKIT_`;
    const { stdout, stderr, code } = await runScript(script, ['--net=none', '--pidns']);
    assert.deepEqual([stdout, stderr, code], ['launcher\nours\n0\n3\n', '', 0]);
  });

  it('with --pidns are those of child_pid, as the host counts', async () => {
    await using stack = await startStack({ args: ['--net=none', '--pidns'] });
    const pid = readFileSync(join(stack.stateDir, 'child_pid'), 'utf8');
    assert.match(readFileSync(`/proc/${pid}/status`, 'utf8'), new RegExp(`^NSpid:.*\\b${pid}\\t1$`, 'm'));
    const enter = ['-U', '--preserve-credentials', '-m', '-n', '-p', '-t', pid];
    const { stdout } = await run('nsenter', [...enter, 'sh', '-c', 'cat /proc/1/comm; ls /sys/class/net']);
    assert.equal(stdout, 'launcher\nlo\n');
  });

  it('with --utsns have a host name that can be changed, and without do not', async () => {
    const rename = 'hostname changed-by-test 2> /dev/null; hostname';
    assert.equal((await runScript(rename, ['--net=none', '--utsns'])).stdout, 'changed-by-test\n');
    assert.equal((await runScript(rename)).stdout, `${hostname()}\n`);
  });

  it('with --cgroupns begin at the cgroup of rootless-run, and with --ipcns without any queues', async () => {
    const { stdout } = await runScript('ipcmk -Q > /dev/null && ipcs -q | grep -c ^0x; cut -d: -f3 /proc/self/cgroup', [
      ...['--net=none', '--cgroupns', '--ipcns'],
    ]);
    const [queues, ...paths] = stdout.trim().split('\n');
    assert.equal(queues, '1');
    assert.deepEqual([...new Set(paths)], ['/']);
  });
});

describe('a command in a terminal', () => {
  for (const driver of ['builtin', 'slirp4netns', 'pasta']) {
    it(`keeps its network and its ports when Ctrl-C is typed (${driver})`, async () => {
      const server = createServer((socket) => socket.on('error', () => {}).end('still here'));
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const address = server.address();
      const port = typeof address === 'object' && address ? address.port : 0;
      // The host's loopback is at the gateway's address.
      const ask = `echo asked; socat -T5 - TCP:10.0.2.2:${port}; exit 3`;
      const script = `trap '${ask}' INT; echo ready; while :; do sleep 0.05; done`;
      const args = [`--net=${driver}`, '--allow-host-loopback', '-p', '127.0.0.2:0:80'];
      try {
        const { output, code } = await runInTerminal(runWords(...args, 'bash', '-c', script), [['ready', '\x03']]);
        assert.match(output, /asked\nstill here/);
        assert.doesNotMatch(output, /warning/);
        assert.equal(code, 3);
      } finally {
        await new Promise((resolve) => server.close(resolve));
      }
    });
  }

  it('that Ctrl-C ends gives 130, and nothing is printed about it', async () => {
    const words = runWords('--net=none', 'sleep', '1000');
    const marked = ['sh', '-c', 'echo ready; exec sleep 1000'];
    const { output, code } = await runInTerminal([...words.slice(0, -2), ...marked], [['ready', '\x03']]);
    assert.match(output, /^ready\n\^C\n?$/);
    assert.equal(code, 130);
  });

  it('can open it, and can have jobs', async () => {
    const script = 'echo written > /dev/tty; set -m; sh -c "echo job" ; tty';
    const { output, code } = await runInTerminal(runWords('--net=none', 'bash', '-c', script));
    assert.match(output, /^written\njob\n\/dev\/pts\/\d+\n$/);
    assert.equal(code, 0);
  });
});

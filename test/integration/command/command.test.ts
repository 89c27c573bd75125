import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { constants, userInfo } from 'node:os';
import { join } from 'node:path';
import {
  binPath,
  isAlive,
  processTree,
  type RunOptions,
  run,
  start,
  startStack,
  tempDir,
  waitFor,
} from '../../support/index.js';
import { programPath } from '../../support/stacks/stack.js';

const rootlessRun = (args: readonly string[], options?: RunOptions) => run(binPath('rootless-run'), args, options);
const sh = (script: string, args: readonly string[] = ['--net=none'], options?: RunOptions) =>
  rootlessRun([...args, '--', 'sh', '-c', script], options);

/** Asserts that a start failed with one line that matches, and left no state directory. Returns the line. */
async function refused(
  args: readonly string[],
  expected: RegExp,
  code = 125,
  env: RunOptions['env'] = {},
): Promise<string> {
  const temporary = tempDir();
  const result = await rootlessRun(args, { env: { TMPDIR: temporary, ...env } });
  const lines = result.stderr.trimEnd().split('\n');
  assert.match(lines.at(-1) ?? '', expected);
  assert.equal(lines.length, 1, `one line, not:\n${result.stderr}`);
  assert.match(result.stderr, /^rootless-run: error: /);
  assert.equal(result.stdout, '');
  assert.equal(result.code, code);
  assert.deepEqual(readdirSync(temporary), [], 'nothing is left');
  return result.stderr;
}

/** A directory for PATH with nothing but these programs in it, and `fakes` as shell scripts. */
function pathWith(programs: readonly string[], fakes: Record<string, string> = {}): string {
  const dir = tempDir();
  for (const name of programs)
    writeFileSync(join(dir, name), `#!/bin/sh\nexec /usr/bin/${name} "$@"\n`, { mode: 0o755 });
  for (const [name, script] of Object.entries(fakes)) {
    writeFileSync(join(dir, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
  return dir;
}

describe('the command', () => {
  it('gives its exit code, and nothing is printed about it', async () => {
    for (const code of [0, 1, 42, 255]) {
      const result = await sh(`exit ${code}`);
      assert.deepEqual([result.code, result.stderr], [code, '']);
    }
  });

  it('that a signal ends gives 128 and its number, and nothing is printed about it', async () => {
    for (const name of ['INT', 'KILL', 'USR1', 'SEGV', 'PIPE'] as const) {
      const result = await sh(`kill -${name} $$`);
      assert.deepEqual([result.code, result.stderr], [128 + constants.signals[`SIG${name}`], ''], name);
    }
  });

  it('whose reader goes away ends as it does without us', async () => {
    const words = ['-c', '"$0" --net=none -- yes | head -n 1; printf "%s\\n" "$PIPESTATUS"', binPath('rootless-run')];
    assert.deepEqual(await run('bash', words), { code: 0, signal: null, stdout: 'y\n141\n', stderr: '' });
  });

  it('that is not there, or cannot be executed, gives 127 or 126', async () => {
    const dir = tempDir();
    writeFileSync(join(dir, 'plain'), 'text', { mode: 0o644 });
    await refused(['--net=none', 'no-such-program'], /command not found: no-such-program/, 127);
    await refused(['--net=none', join(dir, 'missing')], /command not found: .*missing/, 127);
    await refused(['--net=none', dir], /cannot execute .*permission denied/, 126);
    await refused(['--net=none', join(dir, 'plain')], /cannot execute .*plain: permission denied/, 126);
  });

  it('gets all of its arguments, however many and long', async () => {
    const many = Array.from({ length: 20_000 }, (_, i) => String(i));
    const long = ['a'.repeat(100_000), 'b'.repeat(130_000)];
    const result = await rootlessRun([
      '--net=none',
      '--',
      'sh',
      '-c',
      'echo $#; printf %s "$1" | wc -c; printf %s "$2" | wc -c',
      'x',
      ...long,
      ...many,
    ]);
    assert.deepEqual([result.stdout, result.code], ['20002\n100000\n130000\n', 0]);
  });

  it('continues when the output of rootless-run is not read', async () => {
    const script = 'while ! test -s $1; do sleep 0.05; done; echo still here';
    const pid = join(tempDir(), 'pid');
    const line = `"$0" "$@" 2> >(exit 0) & echo $! > ${pid}; wait $!`;
    const args = [binPath('rootless-run'), '--debug', '--net=none', '--', 'sh', '-c', script, 'x', pid];
    const result = await run('bash', ['-c', line, ...args]);
    assert.deepEqual([result.stdout, result.code], ['still here\n', 0]);
  });

  it('gets its standard streams, working directory, umask and environment', async () => {
    const cwd = tempDir();
    const script = 'cat; pwd; umask; echo "$MARK"; echo to-stderr >&2';
    const result = await run(
      'sh',
      ['-c', `umask 027; exec "$0" "$@"`, binPath('rootless-run'), '--net=none', '--', 'sh', '-c', script],
      {
        cwd,
        input: 'input\n',
        env: { MARK: 'a b' },
      },
    );
    assert.equal(result.stdout, `input\n${cwd}\n0027\na b\n`);
    assert.equal(result.stderr, 'to-stderr\n');
  });

  it('is root in its namespaces, with all capabilities, and with the sub-ids of the user', async () => {
    const { uid, gid } = userInfo();
    const { stdout } = await sh(
      'id -u; id -g; cat /proc/self/setgroups; cat /proc/self/uid_map /proc/self/gid_map; grep CapEff /proc/self/status',
    );
    const [id, group, setgroups, ...rest] = stdout
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/).join(' '));
    assert.deepEqual([id, group, setgroups], ['0', '0', 'allow']);
    assert.equal(rest[0], `0 ${uid} 1`);
    assert.match(rest[1] ?? '', /^1 \d+ 65536$/);
    assert.equal(rest[2], `0 ${gid} 1`);
    assert.match(rest.at(-1) ?? '', /CapEff: 0*1ff/);
  });

  it('has namespaces of its own: user, mnt and net always, the others when requested', async () => {
    const of = async (...args: string[]) => {
      const { stdout } = await sh('for n in user mnt net pid ipc uts cgroup; do readlink /proc/self/ns/$n; done', [
        '--net=none',
        ...args,
      ]);
      return stdout.trim().split('\n');
    };
    const names = ['user', 'mnt', 'net', 'pid', 'ipc', 'uts', 'cgroup'];
    const host = (
      await run('sh', ['-c', 'for n in user mnt net pid ipc uts cgroup; do readlink /proc/self/ns/$n; done'])
    ).stdout
      .trim()
      .split('\n');
    const differ = (child: string[]) => names.filter((_, i) => child[i] !== host[i]);
    assert.deepEqual(differ(await of()), ['user', 'mnt', 'net']);
    assert.deepEqual(differ(await of('--pidns', '--ipcns', '--utsns', '--cgroupns')), names);
  });

  it('in a pid namespace sees only its own processes, and takes all of them along', async () => {
    const { stdout, code } = await sh('ls /proc | grep -c "^[0-9]"; sleep 1000 & setsid sleep 1000 & exit 3', [
      '--net=none',
      '--pidns',
    ]);
    assert.equal(code, 3);
    assert(Number(stdout) < 8, `${stdout} processes`);
  });

  it('starts when everything is ready, and finds the stack by its environment', async () => {
    const ctl = binPath('rootlessctl');
    const { stdout, stderr } = await sh(
      `cd $ROOTLESSKIT_STATE_DIR && test -S api.sock && test -s child_pid && stat -c '%n %a' lock child_pid hosts resolv.conf && ${ctl} list-ports --json && ${ctl} info --json && echo $ROOTLESSKIT_PARENT_EUID`,
      ['--net=none', '-p', '127.0.0.2:0:80'],
    );
    assert.match(stderr, /^rootless-run: published 127\.0\.0\.2:\d+ to 80\/tcp\n$/);
    assert.match(stdout, /lock 600\nchild_pid 444\n/);
    assert.match(stdout, /"parentIP":"127\.0\.0\.2"/);
    assert.match(stdout, /"driver": "none"/);
    assert.match(stdout, new RegExp(`\\n${userInfo().uid}\\n$`));
  });

  it('gets the signals that are for it, and is waited for', async () => {
    for (const [name, code] of [
      ['TERM', 11],
      ['INT', 12],
      ['HUP', 13],
      ['USR1', 14],
      ['USR2', 15],
      ['WINCH', 16],
    ] as const) {
      const script = `trap 'sleep 0.2; exit ${code}' ${name}; echo ready; while :; do sleep 0.05; done`;
      await using stack = await startStack({ command: ['sh', '-c', script] });
      await waitFor(() => stack.started.output().includes('ready'));
      process.kill(stack.started.pid, `SIG${name}`);
      assert.equal((await stack.started.ended).code, code, name);
    }
  });

  it('keeps its terminal, and gets one Ctrl-C for one Ctrl-C', async () => {
    const python = `
import os, pty, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
out = b''
def read_until(mark):
    global out
    while mark not in out:
        out += os.read(fd, 4096)
read_until(b'ready')
os.write(fd, b'\\x03')
read_until(b'INT')
time.sleep(0.5)
os.write(fd, b'\\x1c')
try:
    while True: out += os.read(fd, 4096)
except OSError: pass
print(out.decode().replace('\\r', ''))
print('code', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;
    const script = "trap 'echo INT' INT; trap 'exit 9' QUIT; tty; echo ready; while :; do sleep 0.05; done";
    const { stdout } = await run('python3', [
      '-c',
      python,
      binPath('rootless-run'),
      '--net=none',
      '--',
      'bash',
      '-c',
      script,
    ]);
    assert.match(stdout, /^\/dev\/pts\/\d+\nready/m);
    assert.equal(stdout.match(/INT/g)?.length, 1, stdout);
    assert.match(stdout, /code 9/);
  });

  it('leaves nothing running, daemons included', async () => {
    const file = join(tempDir(), 'pid');
    const { code } = await sh(
      `${process.execPath} ${programPath('daemon')} ${file} & setsid sleep 1000 & while ! test -s ${file}; do sleep 0.05; done; exit 5`,
    );
    assert.equal(code, 5);
    assert.equal(isAlive(Number(readFileSync(file, 'utf8'))), false);
  });
});

describe('a start that is impossible', () => {
  it('reports in one line what is wrong with the command line', async () => {
    await refused(['--publsh=1:1', 'true'], /unknown option '--publsh.*--publish/);
    await refused([], /no command specified/);
    await refused(['-p', 'bad', 'true'], /bad/);
    await refused(['-p', '127.0.0.1:80:80/icmp', 'true'], /icmp/);
    await refused(['--net=bridge', 'true'], /unknown network mode: bridge/);
  });

  it('reports what a port lacks, and the command does not run', async () => {
    await refused(
      ['--net=none', '-p', '127.0.0.1:80:80', 'echo', 'ran'],
      /cannot expose privileged port 80.*ip_unprivileged_port_start=80.*permission denied/,
    );
    await refused(
      ['--net=none', '-p', '203.0.113.1:8080:80', 'echo', 'ran'],
      /203\.0\.113\.1:8080.*cannot assign requested address/,
    );
    await using other = await startStack({ publish: ['127.0.0.2:0:80'] });
    const [taken] = await other.published();
    await refused(['--net=none', '-p', `127.0.0.2:${taken?.port}:80`, 'echo', 'ran'], /address already in use/);
  });

  it('without user namespaces reports how to allow them', async () => {
    const result = await run('unshare', [
      '-Ur',
      'sh',
      '-c',
      'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"',
      'sh',
      binPath('rootless-run'),
      '--net=none',
      'true',
    ]);
    assert.equal(result.code, 125);
    assert.match(result.stderr, /^rootless-run: error: cannot make the namespaces .*max_user_namespaces=\d+\n$/);
  });

  it('with an id map that is refused shows the output of newuidmap', async () => {
    const path = pathWith(['newgidmap'], { newuidmap: 'echo "newuidmap: no such range" >&2; exit 1' });
    await refused(
      ['--net=none', 'true'],
      /failed to set up the id map: .*newuidmap \d+ 0 \d+ 1.*no such range.*\/etc\/subuid/,
      125,
      { PATH: path },
    );
  });

  it('with a network driver that fails shows its output', async () => {
    const path = `${pathWith([], { slirp4netns: 'echo "cannot do that today" >&2; exit 1' })}:${process.env.PATH}`;
    await refused(['--net=slirp4netns', 'true'], /slirp4netns failed: cannot do that today/, 125, { PATH: path });
  });

  it('can be ended while it hangs', async () => {
    const pid = join(tempDir(), 'pid');
    const path = `${pathWith([], { slirp4netns: `echo $$ > ${pid}; exec sleep 1000` })}:${process.env.PATH}`;
    const temporary = tempDir();
    const stuck = await start(binPath('rootless-run'), ['--net=slirp4netns', 'true'], {
      env: { PATH: path, TMPDIR: temporary },
      ready: { check: () => readdirSync(join(pid, '..')).includes('pid') && readFileSync(pid, 'utf8').endsWith('\n') },
    });
    const below = processTree(stuck.pid).map((info) => info.pid);
    assert(below.length >= 2, 'launcher and driver');
    process.kill(stuck.pid, 'SIGTERM');
    const { code } = await stuck.ended;
    assert.deepEqual([code, stuck.output()], [143, '']);
    assert.deepEqual(readdirSync(temporary), []);
    for (const one of below) assert.equal(isAlive(one), false);
  });

  it('with a state directory that cannot be used reports which', async () => {
    const dir = tempDir();
    writeFileSync(join(dir, 'file'), '');
    mkdirSync(join(dir, 'closed'), { mode: 0o555 });
    await refused([`--state-dir=${dir}/file`, '--net=none', 'true'], /state directory .*\/file: .*not a directory/);
    await refused(
      [`--state-dir=${dir}/file/below`, '--net=none', 'true'],
      /state directory .*\/below: .*not a directory/,
    );
    await refused([`--state-dir=${dir}/closed/below`, '--net=none', 'true'], /state directory .*: permission denied/);
    writeFileSync(join(dir, 'thesis'), 'mine');
    await refused([`--state-dir=${dir}`, '--net=none', 'true'], /is not empty and is not a state directory/);
    assert.equal(readFileSync(join(dir, 'thesis'), 'utf8'), 'mine');
    await refused(['--state-dir=/proc/x', '--net=none', 'true'], /state directory \/proc\/x/);
    await refused([`--state-dir=${dir}/${'long'.repeat(30)}`, '--net=none', 'true'], /--state-dir/);
  });
});

describe('the state directory', () => {
  it('belongs to one stack at a time, and is taken over from one that was killed', async () => {
    const dir = join(tempDir(), 'state');
    {
      await using first = await startStack({ stateDir: dir, publish: ['127.0.0.2:0:80'] });
      const second = await rootlessRun([`--state-dir=${dir}`, '--net=none', 'true']);
      assert.equal(second.code, 125);
      assert.match(second.stderr, /failed to lock .*state\/lock, another instance is running/);
      assert.equal((await first.api.info()).stateDir, dir, 'the first continues');
      process.kill(first.started.pid, 'SIGKILL');
      await first.started.ended;
    }
    assert(readdirSync(dir).includes('api.sock'), 'it was left behind');
    await using next = await startStack({ stateDir: dir });
    assert.equal((await next.published()).length, 0);
  });

  it('is removed at every end', async () => {
    for (const script of ['exit 0', 'exit 42', 'kill -9 $$', 'kill -9 $PPID']) {
      const temporary = tempDir();
      const { stdout } = await sh(`echo $ROOTLESSKIT_STATE_DIR; ${script}`, ['--net=none'], {
        env: { TMPDIR: temporary },
      });
      assert(stdout.startsWith(`${temporary}/`));
      assert.deepEqual(readdirSync(temporary), [], script);
    }
  });

  it('lets nsenter in by child_pid, whose environment has what is needed', async () => {
    await using stack = await startStack();
    const pid = readFileSync(join(stack.stateDir, 'child_pid'), 'utf8');
    assert.equal(pid, String(stack.childPid));
    const { stdout } = await run('nsenter', [
      '-U',
      '--preserve-credentials',
      '-m',
      '-n',
      '-t',
      pid,
      'sh',
      '-c',
      'id -u; ls /sys/class/net',
    ]);
    assert.equal(stdout, '0\nlo\n');
    const environ = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    assert(environ.includes(`ROOTLESSKIT_STATE_DIR=${stack.stateDir}`));
    assert(environ.includes(`ROOTLESSKIT_PARENT_EUID=${userInfo().uid}`));
  });
});

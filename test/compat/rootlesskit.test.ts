/**
 * The same command lines for RootlessKit 1.1 (Debian's package) and for us, and what both make of them. What is meant to
 * differ is not compared: docs/processes.md says what our exit codes and messages are.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { binPath, type RunResult, run, start, tempDir } from '../support/index.js';

const NETWORK = ['--net=slirp4netns', '--disable-host-loopback'];

function both(args: readonly string[]): Promise<[RunResult, RunResult]> {
  return Promise.all([run('rootlesskit', args), run(process.execPath, [binPath('rootless-run'), ...args])]);
}

/** Asserts that both print the same on standard output and end alike; returns what they print. */
async function same(...args: string[]): Promise<string> {
  const [theirs, ours] = await both(args);
  assert.equal(ours.stdout, theirs.stdout);
  assert.equal(ours.code, theirs.code);
  return ours.stdout;
}

describe('RootlessKit and rootless-run', () => {
  it('pass the exit code on, and give 255 for a signal', async () => {
    for (const script of ['exit 0', 'exit 42', 'kill -USR1 $$', 'kill -9 $$'])
      await same(...NETWORK, 'sh', '-c', script);
  });

  it('map the same ids, and give the same capabilities and device', async () => {
    const script =
      'id; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; grep Cap /proc/self/status; ip -4 -o addr show tap0 | cut -d" " -f2-7; ip route; umask; pwd';
    assert.match(await same(...NETWORK, '--copy-up=/etc', 'sh', '-c', script), /10\.0\.2\.100\/24/);
  });

  it('make the namespaces that are asked for', async () => {
    const script =
      'for n in mnt net pid ipc uts cgroup; do test "$(readlink /proc/1/ns/$n)" = "$(readlink /proc/self/ns/$n)" && echo "$n as the first process"; done; ls /sys/class/net';
    for (const flags of [[], ['--ipcns', '--utsns', '--cgroupns'], ['--pidns']])
      await same(...NETWORK, ...flags, 'sh', '-c', script);
  });

  it('set the same variables', async () => {
    const script =
      'env | grep ^ROOTLESSKIT | cut -d= -f1 | sort; echo $ROOTLESSKIT_PARENT_EUID $ROOTLESSKIT_PARENT_EGID';
    assert.match(await same(...NETWORK, 'sh', '-c', script), /ROOTLESSKIT_STATE_DIR/);
  });

  it('copy directories up with the same result', async () => {
    const script =
      'for f in /etc/* /run/*; do if test -L $f; then readlink $f; else stat -c "%F %n" $f; fi; done | sed "s/\\.ro[^/]*/.ro/"; stat -f -c %T /etc /run; stat -c %U /etc';
    assert.match(await same(...NETWORK, '--copy-up=/etc', '--copy-up=/run', 'sh', '-c', script), /\.ro\/passwd/);
  });

  it('keep the same files in the state directory, and let nsenter in by child_pid', async () => {
    const listing = async (command: string, ...program: string[]) => {
      const dir = join(tempDir(), 'state');
      await using stack = await start(
        command,
        [...program, ...NETWORK, '--port-driver=builtin', `--state-dir=${dir}`, 'sleep', '1000'],
        { ready: { check: () => readdirSync(dir).includes('api.sock') } },
      );
      assert(stack.pid > 0);
      const pid = readFileSync(join(dir, 'child_pid'), 'utf8');
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
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
      return {
        files: readdirSync(dir).filter((name) => !name.startsWith('.')),
        inside: stdout,
        known: environment.filter((line) => line.startsWith('ROOTLESSKIT_')).map((line) => line.split('=')[0]),
      };
    };
    const [theirs, ours] = [await listing('rootlesskit'), await listing(process.execPath, binPath('rootless-run'))];
    assert.equal(ours.inside, theirs.inside);
    for (const name of theirs.files)
      assert(ours.files.includes(name), `${name} is missing in ${ours.files.join(', ')}`);
    assert.deepEqual(ours.known.sort(), theirs.known.sort());
  });
});

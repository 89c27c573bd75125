// Containers of a stack that systemd runs: the end of the unit ends them, and their reported state is true.
import assert from 'node:assert/strict';
import { waitFor } from '../support/index.js';
import { IDLE, makeBusyboxRootfs } from '../support/stacks/containers.js';
import { bootSystemd, type SystemManager } from './system-manager.js';

/** Arguments by which the container of a runtime is found. */
const MARKERS = { runc: 'run-by-runc', crun: 'run-by-crun' } as const;

describe('the containers of a service', function () {
  this.timeout(60_000);
  let manager: SystemManager;
  let rootfs: string;
  before(async function () {
    if (process.getuid?.() !== 0) this.skip();
    manager = await bootSystemd();
    rootfs = makeBusyboxRootfs(manager.shared);
    await manager.root('chown', '-R', 'rootless-test:', rootfs);
  });
  after(async () => {
    await manager?.[Symbol.asyncDispose]();
  });

  const must = async (...command: string[]) => {
    const { code, stdout, stderr } = await manager.user(...command);
    assert.equal(code, 0, `${command.join(' ')}: ${stderr}${stdout}`);
    return stdout.trim();
  };
  const net = (...words: string[]) => must(...manager.program('rootless-net'), ...words);
  /** Pids, as its host counts, of a container's program; not what it has forked, which looks the same at first. */
  async function pidsOf(marker: string): Promise<string[]> {
    const { stdout } = await manager.root('ps', '-eo', 'pid=,ppid=,args=');
    const lines = [...stdout.matchAll(/^ *(\d+) +(\d+) +sh -c trap .* (\S+)$/gm)].filter(
      ([, , , word]) => word === marker,
    );
    return lines.flatMap(([, pid = '', ppid]) => (lines.some(([, other]) => other === ppid) ? [] : [pid]));
  }
  const cgroupOf = async (pid = '') => /^0::(.*)$/m.exec(await must('cat', `/proc/${pid}/cgroup`))?.[1];
  const USER = ['systemctl', '--user'];
  const show = (name: string, unit = 'rootless-net.service', systemctl = USER) =>
    must(...systemctl, 'show', unit, '-P', name);

  /** Starts the containers, which do not run, makes them where there are none, and checks that each runs once, there. */
  async function startAll(unit: string): Promise<void> {
    const known = await net('ps', '-a', '-q');
    for (const [runtime, marker] of Object.entries(MARKERS)) {
      assert.deepEqual(await pidsOf(marker), []);
      if (known === '') {
        const words = ['--name', runtime, '--runtime', runtime, '--rootfs', rootfs, '--', ...IDLE, marker];
        await net('run', '-d', ...words);
      } else await net('start', runtime);
      // crun does not wait for its program.
      await waitFor(async () => (await pidsOf(marker)).length > 0);
      const [pid, ...more] = await pidsOf(marker);
      assert.deepEqual(more, []);
      assert.match((await cgroupOf(pid)) ?? '', new RegExp(`^${unit}/container-[0-9a-f]{64}$`));
    }
  }

  /** That they have ended, and are reported to have. */
  async function haveEnded(): Promise<void> {
    for (const marker of Object.values(MARKERS)) assert.deepEqual(await pidsOf(marker), []);
    const lines = (await net('ps', '-a')).split('\n').slice(1);
    assert.equal(lines.length, 2);
    for (const line of lines) assert.match(line, / Exited \((unknown|143|137|0)\) /);
  }

  /** Waits for another main process than that one. */
  const restarted = (before: string, systemctl = USER, unit = 'rootless-net.service') =>
    waitFor(
      async () => {
        const [main, state] = [await show('MainPID', unit, systemctl), await show('ActiveState', unit, systemctl)];
        return main !== before && main !== '0' && state === 'active';
      },
      { timeout: 20_000, what: 'the next main process' },
    );

  it('are below the cgroup of its unit, by runc and crun, and the stack is in a leaf', async () => {
    await must(...manager.program('rootless-run'), 'systemd', 'install', '--', '--net=none');
    const unit = await show('ControlGroup');
    await startAll(unit);
    assert.equal(await cgroupOf(await show('MainPID')), `${unit}/rootless-net`);
    assert.equal(await must('cat', `/sys/fs/cgroup${unit}/cgroup.procs`), '');
  });

  for (const [what, ...words] of [
    ['SIGKILL of its main process', 'kill', '--signal=KILL', '--kill-whom=main'],
    ['SIGKILL of all its processes', 'kill', '--signal=KILL'],
    ['SIGTERM of all its processes', 'kill'],
    ['stop', 'stop'],
  ] as const) {
    it(`end with it, and run once after that: ${what}`, async () => {
      await must(...USER, ...words, 'rootless-net.service');
      await waitFor(async () => /^(active|inactive|failed)$/.test(await show('ActiveState')));
      for (const marker of Object.values(MARKERS)) {
        await waitFor(async () => (await pidsOf(marker)).length === 0, { what: 'the end of the containers' });
      }
      // So many starts in so short a time would be refused otherwise.
      await must(...USER, 'reset-failed', 'rootless-net.service');
      // After an orderly end it is not started again by itself.
      await must(...USER, 'start', 'rootless-net.service');
      await haveEnded();
      await startAll(await show('ControlGroup'));
    });
  }

  it('end with it when its watchdog ends it, and run once after that', async () => {
    const directory = `${manager.home}/.config/systemd/user/rootless-net.service.d`;
    const text = '[Service]\nWatchdogSec=3\nTimeoutAbortSec=1\n';
    await must('sh', '-c', 'mkdir -p "$0" && printf "$1" > "$0/test.conf"', directory, text);
    await must(...USER, 'daemon-reload');
    await must(...USER, 'restart', 'rootless-net.service');
    await startAll(await show('ControlGroup'));
    const main = await show('MainPID');
    await must('kill', '-STOP', main);
    await restarted(main);
    await haveEnded();
    await must('rm', '-r', directory);
    await must(...USER, 'daemon-reload');
    await must(...USER, 'restart', 'rootless-net.service');
    await startAll(await show('ControlGroup'));
  });

  it('have ended after a restart of the machine, although other processes have their pids', async () => {
    await must(...USER, 'stop', 'rootless-net.service');
    const unshare = ['unshare', '--user', '--map-root-user', 'sleep', '16180'];
    await must('systemd-run', '--user', '--quiet', '--collect', '--unit=bystander', ...unshare);
    const bystander = async () => (await manager.root('pgrep', '-fx', 'sleep 16180')).stdout.trim();
    const pid = await waitFor(bystander);
    const stat = await must('cat', `/proc/${pid}/stat`);
    const startTime = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    const data = `${manager.home}/.local/share/rootless-net/containers`;
    for (const id of (await must('ls', data)).split('\n')) {
      const run = JSON.parse(await must('cat', `${data}/${id}/run.json`));
      const text = JSON.stringify({ ...run, status: 'running', pid: Number(pid), startTime });
      await must('sh', '-c', 'printf %s "$0" > "$1"', text, `${data}/${id}/run.json`);
    }
    await must('rm', '-rf', `${manager.runtimeDir}/rootless-net`);
    const bootId = '/proc/sys/kernel/random/boot_id';
    const other = 'cat /proc/sys/kernel/random/uuid > /run/boot-id && mount --bind /run/boot-id "$0"';
    assert.equal((await manager.root('sh', '-c', other, bootId)).code, 0);
    await must(...USER, 'start', 'rootless-net.service');
    await haveEnded();
    assert.equal(await bystander(), pid);
    // With it no process may mount /proc anew (user_namespaces(7)).
    await must(...USER, 'stop', 'rootless-net.service', 'bystander');
    assert.equal((await manager.root('umount', bootId)).code, 0);
    await must(...USER, 'start', 'rootless-net.service');
    await haveEnded();
    await startAll(await show('ControlGroup'));
  });

  it('end with it if the stack shares its cgroup, as in a terminal', async () => {
    await must(...manager.program('rootless-run'), 'systemd', 'uninstall');
    const serve = [...manager.program('rootless-run'), 'serve', '--net=none'];
    const script = ['sh', '-c', '"$@" & wait', 'sh', ...serve];
    const scope = manager.user('systemd-run', '--user', '--quiet', '--scope', '--unit=terminal', ...script);
    const info = [...manager.program('rootlessctl'), `--socket=${manager.runtimeDir}/rootless-net/api.sock`, 'info'];
    await waitFor(async () => (await manager.user(...info)).code === 0);
    await startAll(await show('ControlGroup', 'terminal.scope'));
    await must(...USER, 'kill', '--signal=KILL', 'terminal.scope');
    await scope;
    for (const marker of Object.values(MARKERS)) await waitFor(async () => (await pidsOf(marker)).length === 0);
  });

  it("end with it if it is the system's, and runs as the user", async () => {
    const printed = await must(
      ...manager.program('rootless-run'),
      'systemd',
      'install',
      '-s',
      '80:8000',
      '--',
      '--net=none',
    );
    for (const line of printed.split('\n').filter((text) => text.includes('sudo'))) {
      const { code, stderr } = await manager.root('sh', '-c', line.replaceAll('sudo ', ''));
      assert.equal(code, 0, `${line}: ${stderr}`);
    }
    const unit = 'rootless-net-rootless-test.service';
    const cgroup = await show('ControlGroup', unit, ['systemctl']);
    assert.match(cgroup, /^\/system\.slice\//);
    await haveEnded();
    await startAll(cgroup);
    const main = await show('MainPID', unit, ['systemctl']);
    await must('kill', '-KILL', main);
    await restarted(main, ['systemctl'], unit);
    await haveEnded();
    await startAll(cgroup);
  });
});

import assert from 'node:assert/strict';
import type { PortSpec } from '../../protocol/ports/rootlesskit-json.js';
import { waitFor } from '../support/index.js';
import { bootSystemd, type SystemManager } from './system-manager.js';

describe('the stack as a service', function () {
  this.timeout(60_000);
  let manager: SystemManager;
  before(async function () {
    if (process.getuid?.() !== 0) this.skip();
    manager = await bootSystemd();
  });
  after(async () => {
    await manager?.[Symbol.asyncDispose]();
  });

  const must = async (...command: string[]) => {
    const { code, stdout, stderr } = await manager.user(...command);
    assert.equal(code, 0, `${command.join(' ')}: ${stderr}${stdout}`);
    return stdout;
  };
  const rootlessRun = (...words: string[]) => must(...manager.program('rootless-run'), ...words);
  const socket = () => `--socket=${manager.runtimeDir}/rootless-net/api.sock`;
  const ctl = (...words: string[]) => must(...manager.program('rootlessctl'), socket(), ...words);
  const property = async (name: string, ...scope: string[]) =>
    (
      await must(
        'systemctl',
        ...(scope.length > 0 ? scope : ['--user']),
        'show',
        'rootless-net',
        `--property=${name}`,
        '--value',
      )
    ).trim();
  /** A server in the stack's network namespace. */
  const serveInside = async (port: number, text: string) => {
    const pid = (await must('cat', `${manager.runtimeDir}/rootless-net/child_pid`)).trim();
    const enter = ['nsenter', '-U', '--preserve-credentials', '-n', `--target=${pid}`];
    const words = ['socat', `TCP-LISTEN:${port},fork,reuseaddr`, `SYSTEM:echo ${text}`];
    await must('systemd-run', '--user', '--quiet', '--collect', `--unit=server-${port}`, ...enter, ...words);
    await waitFor(async () => (await must(...enter, 'ss', '-Hltn', `sport = :${port}`)) !== '');
  };
  const ask = async (address: string, as: 'user' | 'root' = 'user') =>
    (await manager[as]('socat', '-T3', '-', `TCP:${address}`)).stdout.trim();

  it('is installed and started by one command, and notifies systemd', async () => {
    const printed = await rootlessRun('systemd', 'install', '--', '--net=none');
    assert.match(printed, /rootless-net\.service is running/);
    assert.equal(await property('ActiveState'), 'active');
    assert.match(
      await property('StatusText'),
      /^0 ports published, network none, state directory \/run\/user\/\d+\/rootless-net$/,
    );
    assert.equal(await property('WatchdogUSec'), '30s');
    const units = `${manager.home}/.config/systemd/user/rootless-net.service`;
    const { code, stderr } = await manager.user('systemd-analyze', 'verify', '--user', '--man=no', units);
    assert.deepEqual([code, stderr], [0, '']);
  });

  it('gives ports back after SIGKILL, those that are kept', async () => {
    await ctl('add-ports', '127.0.0.2:8080:80');
    await ctl('add-ports', '--persist', '127.0.0.3:8080:80');
    assert.match(await ctl('list-ports', '--counters'), /^2 .* yes *$/m);
    assert.match(await property('StatusText'), /^2 ports published/);
    const before = await property('MainPID');
    await must('kill', '-KILL', before);
    await waitFor(async () => (await property('NRestarts')) === '1' && (await property('ActiveState')) === 'active');
    assert.notEqual(await property('MainPID'), before);
    assert.match(await ctl('list-ports'), /^ID .*\n1 +tcp +127\.0\.0\.3 +8080 +80 *\n$/);
    await serveInside(80, 'after-the-kill');
    assert.equal(await ask('127.0.0.3:8080'), 'after-the-kill');
  });

  it('reads the persistent ports again on reload, and forgets those that are removed', async () => {
    const file = `${manager.home}/.config/rootless-net/ports.json`;
    const ports: PortSpec[] = JSON.parse(await must('cat', file));
    const [kept, ...more] = ports;
    const expected: PortSpec = { proto: 'tcp', parentIP: '127.0.0.3', parentPort: 8080, childPort: 80 };
    assert.deepEqual([kept, more], [expected, []]);
    ports.push({ proto: 'udp', parentPort: 5353, childPort: 53 });
    await must('sh', '-c', 'printf %s "$0" > "$1"', JSON.stringify(ports), file);
    await must('systemctl', '--user', 'reload', 'rootless-net');
    await waitFor(async () => /^2 ports/.test(await property('StatusText')));
    assert.match(await ctl('list-ports'), /udp +5353 +53/);
    await ctl('remove-ports', '1');
    assert.deepEqual(JSON.parse(await must('cat', file)), ports.slice(1));
  });

  it('reports in the journal what is wrong', async () => {
    const file = `${manager.home}/.config/rootless-net/ports.json`;
    await must('sh', '-c', 'echo nonsense > "$0"', file);
    await must('systemctl', '--user', 'restart', 'rootless-net');
    const journal = () => must('journalctl', '--user', '-u', 'rootless-net', '-o', 'cat', '--no-pager');
    await waitFor(async () => /warning: .*ports\.json is broken: .*repair or remove it/.test(await journal()));
    assert.equal(await must('cat', file), 'nonsense\n');
    await must('rm', file);
  });

  it('takes sockets that systemd opens, before the stack runs', async () => {
    await rootlessRun('systemd', 'install', '--no-start', '-s', '127.0.0.4:8081:81', '--', '--net=none');
    await must('systemctl', '--user', 'stop', 'rootless-net');
    await must('systemctl', '--user', 'daemon-reload');
    await must('systemctl', '--user', 'start', 'rootless-net-127.0.0.4-8081-tcp.socket');
    assert.notEqual(await property('ActiveState'), 'active');
    // Nothing listens inside yet; but this starts the stack, which answers.
    assert.equal(await ask('127.0.0.4:8081'), '');
    assert.equal(await property('ActiveState'), 'active');
    assert.match(await ctl('list-ports'), /tcp +127\.0\.0\.4 +8081 +81 *$/m);
    await serveInside(81, 'through-the-socket');
    assert.equal(await ask('127.0.0.4:8081'), 'through-the-socket');
  });

  it('is shown by status, and uninstalled without a trace', async () => {
    const shown = await rootlessRun('systemd', 'status');
    assert.match(shown, /^rootless-net\.service: active \(running\), /);
    assert.match(shown, /^1 +tcp +127\.0\.0\.4 +8081 +81 *$/m);
    await rootlessRun('systemd', 'uninstall');
    assert.equal(await property('LoadState'), 'not-found');
    assert.equal((await must('ls', `${manager.home}/.config/systemd/user`)).trim(), '');
    const { code, stdout } = await manager.user(...manager.program('rootless-run'), 'systemd', 'status');
    assert.equal(code, 3);
    assert.match(stdout, /^not installed/);
  });

  it('has port 80 from the system manager, and runs as the user', async () => {
    const printed = await rootlessRun('systemd', 'install', '-s', '80:8000', '--', '--net=none');
    // What it prints to type, without sudo.
    for (const line of printed.split('\n').filter((text) => text.includes('sudo'))) {
      const { code, stderr } = await manager.root('sh', '-c', line.replaceAll('sudo ', ''));
      assert.equal(code, 0, `${line}: ${stderr}`);
    }
    await serveInside(8000, 'on-port-80');
    assert.equal(await ask('127.0.0.1:80', 'root'), 'on-port-80');
    assert.match(await ctl('list-ports'), /^1 +tcp +80 +8000 *$/m);
    const owner = await manager.root(
      'sh',
      '-c',
      'systemctl show -P MainPID rootless-net-rootless-test.service | xargs ps -o user= -p',
    );
    assert.equal(owner.stdout.trim(), 'rootless-test');
    assert.equal((await manager.root('cat', '/proc/sys/net/ipv4/ip_unprivileged_port_start')).stdout.trim(), '1024');
  });

  it('lets the command talk to systemd: ready from inside, reload and stop from outside', async () => {
    const script = [
      'trap "echo reloaded; systemd-notify --status=reloaded" HUP',
      'trap "echo stopping; exit 0" TERM',
      'test -L /run/user && systemd-notify --ready --status=inside',
      'while :; do sleep 0.1; done',
    ].join('\n');
    const options = ['--net=slirp4netns', '--disable-host-loopback', '--copy-up=/etc', '--copy-up=/run'];
    const unit = ['--user', '--quiet', '--unit=talks', '-p', 'Type=notify', '-p', 'NotifyAccess=all'];
    const reload = ['-p', 'ExecReload=/bin/kill -HUP $MAINPID', '-p', 'KillMode=mixed', '-p', 'Delegate=yes'];
    // It returns when the unit is ready.
    await must('systemd-run', ...unit, ...reload, ...manager.program('rootlesskit'), ...options, 'sh', '-c', script);
    const shown = async (name: string) => (await must('systemctl', '--user', 'show', 'talks', '-P', name)).trim();
    assert.deepEqual([await shown('ActiveState'), await shown('StatusText')], ['active', 'inside']);
    await must('systemctl', '--user', 'reload', 'talks');
    await waitFor(async () => (await shown('StatusText')) === 'reloaded');
    await must('systemctl', '--user', 'stop', 'talks');
    const journal = await must('journalctl', '--user', '-u', 'talks', '-o', 'cat', '--no-pager');
    assert.match(journal, /^reloaded\n(?:.*\n)*stopping$/m);
    assert.doesNotMatch(journal, /\[rootlesskit:/);
  });

  it('lets the command have a cgroup of its own, with all processes evacuated', async () => {
    const unit = ['systemd-run', '--user', '--quiet', '--wait', '--pipe', '--collect', '-p', 'Delegate=yes'];
    const command = `ROOTLESSKIT=${manager.program('rootlesskit').join(' ')}`;
    const printed = await must(...unit, 'env', command, manager.script('evacuate-cgroup2.sh'));
    assert.equal(printed, 'ok the command is in it\nok cgroup2 is mounted\n');
  });
});

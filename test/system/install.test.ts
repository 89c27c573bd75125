import assert from 'node:assert/strict';
import { waitFor } from '../support/index.js';
import { bootSystemd, type SystemManager } from './system-manager.js';

describe('systemd install', function () {
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
  const tryInstall = (...words: string[]) =>
    manager.user(...manager.program('rootless-run'), 'systemd', 'install', ...words);
  const systemd = (...words: string[]) => must(...manager.program('rootless-run'), 'systemd', ...words);
  const shown = async (unit: string, ...names: string[]) => {
    const which = unit === 'rootless-net.service' ? ['--user'] : [];
    return (await must('systemctl', ...which, 'show', unit, ...names.map((name) => `--property=${name}`))).trim();
  };
  const state = (unit = 'rootless-net.service') => shown(unit, 'ActiveState');
  /** As rootless-net leaves it: in the background. Resolves with its process id. */
  const leaveStack = async () => {
    await must(...manager.program('rootless-net'), '--keep', 'network', 'prune');
    const locks = await must(
      'sh',
      '-c',
      `lsof=$(stat -c %i ${manager.runtimeDir}/rootless-net/lock); grep ":$lsof " /proc/locks`,
    );
    return /WRITE (\d+)/.exec(locks)?.[1] ?? '';
  };
  /** Types the indented lines of what was printed, those with sudo as root; resolves with them. */
  const type = async (printed: string, wanted: (line: string) => boolean = () => true) => {
    const lines = printed.split('\n').filter((line) => line.startsWith('  ') && wanted(line));
    const results = [];
    for (const line of lines) {
      const as = line.includes('sudo') ? 'root' : 'user';
      results.push(await manager[as]('sh', '-c', line.replaceAll('sudo ', '')));
    }
    return results;
  };
  const userUnits = () =>
    must('sh', '-c', 'cd ~/.config/systemd/user 2>/dev/null && find . -mindepth 1 | sort || true');

  it('takes over the stack that rootless-net has left behind', async () => {
    const pid = await leaveStack();
    const output = await systemd('install', '--', '--net=none');
    assert.match(
      output,
      new RegExp(`^stopped the stack that was running as process ${pid}\nrootless-net.service is running;`),
    );
    assert.equal(await state(), 'ActiveState=active');
    // Once more, over the service itself.
    assert.match(await systemd('install', '--', '--net=none'), /^rootless-net\.service is running;/);
    assert.equal(await state(), 'ActiveState=active');
    await systemd('uninstall');
  });

  it('leaves a stack that is in use alone and names its process, unless --replace is given', async () => {
    const pid = await leaveStack();
    const socket = `--socket=${manager.runtimeDir}/rootless-net/api.sock`;
    await must(...manager.program('rootlessctl'), socket, 'add-ports', '127.0.0.2:8080:80');
    const { code, stderr } = await tryInstall('--', '--net=none');
    assert.equal(
      stderr,
      `rootless-run: error: the stack that is already running as process ${pid} has 1 published port; hint: rootless-run stop ${pid}, or add --replace\n`,
    );
    assert.equal(code, 1);
    assert.equal(await userUnits(), '');
    assert.match(
      await systemd('install', '--replace', '--', '--net=none'),
      new RegExp(`stopped the stack that was running as process ${pid}`),
    );
    assert.equal(await state(), 'ActiveState=active');
  });

  it('leaves no trace of the sockets that it was installed with before', async () => {
    await systemd('install', '-s', '127.0.0.4:8081:81', '-s', '127.0.0.4:8082:82', '--', '--net=none');
    await systemd('install', '-s', '127.0.0.4:8082:82', '-s', '127.0.0.4:8083:83', '--', '--net=none');
    const listed = await must('systemctl', '--user', 'list-units', '--all', '--plain', '--no-legend', 'rootless-net*');
    assert.deepEqual(
      listed
        .trim()
        .split('\n')
        .map((line) => line.split(/\s+/).slice(0, 3).join(' ')),
      [
        'rootless-net.service loaded active',
        'rootless-net-127.0.0.4-8082-tcp.socket loaded active',
        'rootless-net-127.0.0.4-8083-tcp.socket loaded active',
      ],
    );
    assert.doesNotMatch(await userUnits(), /8081/);
    // Without a manager to ask the links go as well.
    await systemd('install', '--no-start', '--', '--net=none');
    assert.equal(await userUnits(), './rootless-net.service\n');
    await must('systemctl', '--user', 'daemon-reload');
    await systemd('install', '--', '--net=none');
  });

  it("reports once why the system's service cannot run beside the user's", async () => {
    const output = await systemd('install', '-s', '443:8443', '--', '--net=none');
    await type(output, (line) => line.includes('sudo'));
    const service = 'rootless-net-rootless-test.service';
    await waitFor(async () => (await state(service)) === 'ActiveState=failed');
    assert.equal(
      await shown(service, 'NRestarts', 'ExecMainStatus', 'Result'),
      'Result=exit-code\nNRestarts=0\nExecMainStatus=75',
    );
    assert.match(await shown(service, 'StatusText'), /another instance is running with the same state directory/);
    assert.equal(await state(), 'ActiveState=active');
    const result = await manager.user(...manager.program('rootless-run'), 'systemd', 'status');
    assert.equal(result.code, 0);
    assert.match(result.stdout, /^rootless-net\.service: active \(running\), enabled$/m);
    assert.match(result.stdout, /^rootless-net-rootless-test\.service of the system's service manager: failed /m);
    assert.match(result.stdout, /another instance is running.*; to see why: journalctl -u rootless-net-rootless-test/);
  });

  it("reports how the system's service replaces the user's", async () => {
    const output = await systemd('install', '-s', '443:8443', '--', '--net=none');
    for (const { code, stderr } of await type(output)) assert.equal(code, 0, stderr);
    assert.equal(await state('rootless-net-rootless-test.service'), 'ActiveState=active');
    assert.equal(await userUnits(), '');
    const stdout = await systemd('status');
    assert.match(
      stdout,
      /^rootless-net-rootless-test\.service of the system's service manager: active \(running\), enabled$/m,
    );
    assert.match(stdout, /^rootless-net-rootless-test-443-tcp\.socket: active$/m);
    assert.match(stdout, /^1 +tcp +443 +8443 *$/m);
    // The user's would fail on the lock, and one in the background would be in the way of the system's.
    await manager.root('systemctl', 'stop', 'rootless-net-rootless-test.service');
    assert.match(
      (await manager.user(...manager.program('rootless-net'), 'network', 'prune')).stderr,
      /^error: the stack is the system.s unit rootless-net-rootless-test\.service, which is not running; hint: sudo systemctl start rootless-net-/,
    );
    await manager.root('systemctl', 'start', 'rootless-net-rootless-test.service');
    const { code, stderr } = await tryInstall('--', '--net=none');
    assert.match(
      stderr,
      /^rootless-run: error: rootless-net-rootless-test\.service .* runs this stack; hint: [^\n]*\n$/,
    );
    assert.equal(code, 1);
  });

  it("reports how to remove unwanted units from the system's manager", async () => {
    const output = await systemd('install', '-s', '80:8000', '--', '--net=none');
    for (const { code, stderr } of await type(output)) assert.equal(code, 0, stderr);
    const installed = async () => must('sh', '-c', 'cd /etc/systemd/system && find . -name "rootless-net*" | sort');
    assert.doesNotMatch(await installed(), /443/);
    assert.match(await systemd('status'), /^1 +tcp +80 +8000 *$/m);
    const removal = await systemd('uninstall');
    assert.match(removal, /^the system's service manager has units of this stack/);
    for (const { code, stderr } of await type(removal)) assert.equal(code, 0, stderr);
    assert.equal(await installed(), '');
    assert.match(
      (await manager.user(...manager.program('rootless-run'), 'systemd', 'status')).stdout,
      /^not installed/,
    );
  });

  it('hands on options as they are, and refuses a line break', async () => {
    const stateDir = `/tmp/a b%n'"\\$HOME \${HOME};`;
    await systemd('install', '--', '--net=none', `--state-dir=${stateDir}`);
    assert.equal(await must('cat', `${stateDir}/child_pid`).then((text) => /^\d+$/.test(text)), true);
    await systemd('uninstall');
    const { code, stderr } = await tryInstall(
      '--no-start',
      '--',
      '--net=none',
      '--state-dir=/tmp/a\nExecStartPre=/bin/false',
    );
    assert.equal(
      stderr,
      'rootless-run: error: invalid option "--state-dir=/tmp/a ExecStartPre=/bin/false": a unit cannot hold control characters\n',
    );
    assert.equal(code, 125);
    assert.equal(await userUnits(), '');
  });
});

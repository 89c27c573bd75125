// Runs as root, in network, mount and pid namespaces made for the run: node isolated.js DIRECTORY USER NODE
// ROOT KIND [OPTIONS]. Makes the network and the directories that the tests expect of a host, drops to the test user,
// runs mocha, and then reports what was left behind.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { makeFarMachine } from './machine/far-machine.js';
import { host4, host6, makeHostNetwork } from './machine/host-network.js';
import { makeLxcBridge } from './machine/lxc-bridge.js';
import { makeProgramDirectory } from './program-directory.js';
import { countFailure, countsVariable, readCounts, withExitCode, writeCounts } from './results/counts.js';
import { endLeftovers } from './results/leftovers.js';

const [directory = '', user = '', node = '', root = '', ...mochaArguments] = process.argv.slice(2);

makeHostNetwork();
giveOwnDirectories();
const dhcpServer = makeLxcBridge(user, directory);
const farSocket = join(directory, 'run', 'far');
const programs = makeProgramDirectory(join(directory, 'programs'), node);
const farMachine = await makeFarMachine(user, { node, root, socket: farSocket, path: programs });

/** Hides directories that runs at the same time would share behind empty ones of this run. */
function giveOwnDirectories(): void {
  const bind = ['--bind', join(directory, 'home'), `/home/${user}`];
  // The records of lxc-user-nic are about devices of one network namespace.
  mkdirSync('/run/lxc', { recursive: true });
  for (const args of [bind, ['-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', '/run/lxc']]) {
    const { status, stderr } = spawnSync('mount', args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`mount ${args.join(' ')} failed: ${stderr}`);
  }
}

const temporary = join(directory, 'tmp');
const counts = join(directory, 'run', 'counts.json');
const environment: Record<string, string | undefined> = {
  HOME: `/home/${user}`,
  USER: user,
  LOGNAME: user,
  SHELL: '/bin/bash',
  LANG: 'C.UTF-8',
  PATH: programs,
  XDG_RUNTIME_DIR: join(directory, 'run'),
  TMPDIR: temporary,
  TERM: process.env.TERM,
  CI: process.env.CI,
  ROOTLESS_NET_TEST_HOST4: host4,
  ROOTLESS_NET_TEST_HOST6: host6,
  ROOTLESS_NET_TEST_FAR: farSocket,
  [countsVariable]: counts,
};
const variables = Object.entries(environment).flatMap(([name, value]) => (value ? [`${name}=${value}`] : []));
const child = spawn(
  'setpriv',
  [
    ...[`--reuid=${user}`, `--regid=${user}`, '--init-groups', '--inh-caps=-all'],
    ...['env', '-i', ...variables],
    ...[node, join(root, 'dist', 'test', 'setup', 'mocha-run.js'), ...mochaArguments],
  ],
  { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] },
);
const code = await new Promise<number>((resolve, reject) => {
  child.once('error', reject);
  child.once('exit', (exitCode) => resolve(exitCode ?? 1));
});

const result = withExitCode(readCounts(counts), code);

dhcpServer.kill('SIGKILL');
farMachine.kill('SIGKILL');

// Everything in this pid namespace but its first process and this one came from the tests.
for (const line of await endLeftovers(({ pid }) => pid !== 1 && pid !== process.pid)) {
  countFailure(result, `The tests left a process behind: ${line}`);
}
for (const name of readdirSync(temporary)) {
  countFailure(result, `The tests left a file behind in TMPDIR: ${name}`);
}
writeCounts(join(directory, 'counts.json'), result);

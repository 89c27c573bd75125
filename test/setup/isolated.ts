// Runs as root, in network, mount and pid namespaces made for the run: node isolated.js DIRECTORY USER NODE
// ROOT KIND [OPTIONS]. Makes the network that the tests expect of a host, drops to the test user, runs mocha,
// and then looks for what was left behind.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { countsVariable, readCounts, writeCounts } from './counts.js';
import { makeFarMachine } from './far-machine.js';
import { host4, host6, makeHostNetwork } from './host-network.js';
import { endLeftovers } from './leftovers.js';
import { makeLxcBridge } from './lxc-bridge.js';
import { testPath } from './requirements.js';

const [directory = '', user = '', node = '', root = '', ...mochaArguments] = process.argv.slice(2);

makeHostNetwork();
const dhcpServer = makeLxcBridge(user, directory);
const farSocket = join(directory, 'run', 'far');
const farMachine = await makeFarMachine(user, { node, root, socket: farSocket });

const temporary = join(directory, 'tmp');
const counts = join(directory, 'run', 'counts.json');
const environment: Record<string, string | undefined> = {
  HOME: `/home/${user}`,
  USER: user,
  LOGNAME: user,
  SHELL: '/bin/bash',
  LANG: 'C.UTF-8',
  PATH: `${dirname(node)}:${testPath}`,
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

const result = readCounts(counts);
if (code !== 0 && result.failed === 0) result.failed = 1;

dhcpServer.kill('SIGKILL');
farMachine.kill('SIGKILL');

// Everything in this pid namespace but its first process and this one came from the tests.
for (const line of await endLeftovers(({ pid }) => pid !== 1 && pid !== process.pid)) {
  process.stderr.write(`The tests left a process behind: ${line}\n`);
  result.failed++;
}
for (const name of readdirSync(temporary)) {
  process.stderr.write(`The tests left a file behind in TMPDIR: ${name}\n`);
  result.failed++;
}
writeCounts(join(directory, 'counts.json'), result);

// Makes namespaces with a gateway namespace, and runs python/traffic/gateway-sockets.py with its sockets, or prints the error
// of the launcher: node gateway-run.js IFNAME [DIRECTORY | no-ipv6]. With a directory the child's network namespace is a
// detached one; with no-ipv6 it has IPv6 switched off for new devices.
import { execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { EngineHost } from '../../parent/engine/engine-host.js';
import { makeGateway } from '../../parent/namespaces/gateway.js';
import { planIdMap } from '../../parent/namespaces/id-map.js';
import { Launcher } from '../../parent/namespaces/launcher.js';
import { pythonProgram } from '../support/paths.js';

const [ifname = '', how] = process.argv.slice(2);
const directory = how === 'no-ipv6' ? undefined : how;
const engineHost = new EngineHost('', (text) => process.stderr.write(`${text}\n`));
const namespaces = directory === undefined ? (['mnt', 'net'] as const) : (['mnt'] as const);
const launcher = await Launcher.start({ engineHost, namespaces, planIdMap, env: {} });
try {
  if (directory !== undefined) await launcher.request('detach-netns', join(directory, 'netns'));
  await launcher.request('loopback-up');
  if (how === 'no-ipv6') {
    const script = 'for name in all default; do echo 1 > /proc/sys/net/ipv6/conf/$name/disable_ipv6; done';
    const target = ['--user', '--net', '--preserve-credentials', `--target=${launcher.pid}`];
    execFileSync('nsenter', [...target, 'sh', '-euc', script]);
  }
  const gateway = await makeGateway(
    { engineHost, launcher },
    {
      ifname,
      mtu: 65520,
      ipv4: { child: '10.0.2.100', gateway: '10.0.2.2', dns: '10.0.2.3', prefix: 24 },
      ipv6: { child: 'fd00::100', gateway: 'fd00::2', dns: 'fd00::3', prefix: 64 },
    },
  );
  const proc = `/proc/${launcher.pid}`;
  const net = directory === undefined ? `${proc}/ns/net` : `${proc}/root${directory}/netns`;
  const words = [pythonProgram('traffic/gateway-sockets'), `${proc}/ns/user`, net, String(gateway.index)];
  const program = spawn('python3', ['-c', ...words], { stdio: ['ignore', 'inherit', 'inherit', ...gateway.fds] });
  process.exitCode = await new Promise<number>((resolve) => program.on('close', (code) => resolve(code ?? 1)));
} catch (error) {
  process.stdout.write(JSON.stringify({ error: String(error) }));
} finally {
  await launcher.kill();
  engineHost.close();
}

/**
 * pasta(1), from passt: a user-mode network over a tap device, which it makes and configures in the namespaces of a pid.
 * It stays in the foreground, so that it is our child and ends with us.
 */
import { readFile } from 'node:fs/promises';
import { execa } from 'execa';
import { LAUNCHER } from '../../native/index.js';
import { NetworkError } from '../errors.js';
import { findProgram } from '../find-program.js';
import { userModeAddresses } from './addresses.js';
import type { Network, NetworkDriver, NetworkOptions } from './driver.js';
import { tunProblem } from './tun.js';

const DEFAULT_MTU = 65520;

export const pasta: NetworkDriver = {
  name: 'pasta',

  async probe() {
    if (!(await findProgram('pasta'))) return 'pasta is not installed; to get it: sudo apt-get install passt';
    return tunProblem();
  },

  async setup(pid: number, options: NetworkOptions): Promise<Network> {
    const program = (await findProgram('pasta')) ?? 'pasta';
    const addresses = userModeAddresses(options.cidr);
    const args = [
      '--foreground',
      '--quiet',
      '--ns-ifname=tap0',
      `--mtu=${options.mtu || DEFAULT_MTU}`,
      '--config-net',
      `--address=${addresses.child}`,
      `--netmask=${addresses.prefix}`,
      `--gateway=${addresses.gateway}`,
      `--dns-forward=${addresses.dns}`,
      // Ports are the port driver's business; and with `auto` pasta would take the child's own ports away (-T, -U).
      '--tcp-ports=none',
      '--udp-ports=none',
      '--tcp-ns=none',
      '--udp-ns=none',
    ];
    if (!options.hostLoopback) args.push('--no-map-gw');
    if (!options.ipv6) args.push('--ipv4-only');
    args.push(String(pid));

    const child = execa(LAUNCHER, ['die-with', String(process.pid), program, ...args], {
      stdin: 'ignore',
      all: true,
      reject: false,
      forceKillAfterDelay: false,
    });
    let ended = false;
    child.then(() => {
      ended = true;
    });
    // In the foreground it does not say when it is ready: the device says.
    while (!ended && !(await hasDefaultRoute(pid))) await new Promise((resolve) => setTimeout(resolve, 5));
    if (ended) {
      const result = await child;
      const last = result.all.trim().split('\n').at(-1) || result.shortMessage;
      throw new NetworkError(`pasta failed: ${last}; its command was: ${program} ${args.join(' ')}`);
    }

    let closing = false;
    return {
      info: { driver: 'pasta', dns: [addresses.dns], childIP: addresses.child },
      onLost(listener) {
        child.then((result) => {
          if (!closing) listener(`pasta ended: ${result.all.trim().split('\n').at(-1) || result.shortMessage}`);
        });
      },
      async close() {
        closing = true;
        child.kill('SIGTERM');
        await child;
      },
    };
  },
};

/** Whether the main routing table of the process's network namespace has a default route (proc(5), /proc/net/route). */
async function hasDefaultRoute(pid: number): Promise<boolean> {
  const routes = await readFile(`/proc/${pid}/net/route`, 'utf8').catch(() => '');
  return routes
    .split('\n')
    .slice(1)
    .some((line) => line.split(/\s+/)[1] === '00000000');
}

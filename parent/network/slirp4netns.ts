/**
 * slirp4netns(1): a user-mode network over a tap device. It joins the child's namespaces by pid, makes and configures
 * tap0 itself, and says through a pipe when that is done.
 */
import { execa } from 'execa';
import { LAUNCHER } from '../../native/index.js';
import { NetworkError } from '../errors.js';
import { findProgram } from '../find-program.js';
import { userModeAddresses } from './addresses.js';
import type { Network, NetworkDriver, NetworkOptions } from './driver.js';
import { tunProblem } from './tun.js';

const DEFAULT_MTU = 65520;
const READY_FD = 3;

export const slirp4netns: NetworkDriver = {
  name: 'slirp4netns',

  async probe() {
    if (!(await findProgram('slirp4netns')))
      return 'slirp4netns is not installed; to get it: sudo apt-get install slirp4netns';
    return tunProblem();
  },

  async setup(pid: number, options: NetworkOptions): Promise<Network> {
    const program = (await findProgram('slirp4netns')) ?? 'slirp4netns';
    const addresses = userModeAddresses(options.cidr);
    const args = [
      '--configure',
      `--mtu=${options.mtu || DEFAULT_MTU}`,
      '-r',
      String(READY_FD),
      `--cidr=${options.cidr}`,
    ];
    if (!options.hostLoopback) args.push('--disable-host-loopback');
    if (options.ipv6) args.push('--enable-ipv6');
    args.push(String(pid), 'tap0');

    const child = execa(LAUNCHER, ['die-with', String(process.pid), program, ...args], {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      all: true,
      reject: false,
      forceKillAfterDelay: false,
    });
    const ready = new Promise<boolean>((resolve) => {
      const pipe = child.stdio[READY_FD] as unknown as NodeJS.ReadableStream | undefined;
      pipe?.once('data', () => resolve(true));
      pipe?.once('end', () => resolve(false));
      child.then(() => resolve(false));
    });
    if (!(await ready)) {
      child.kill('SIGKILL');
      const result = await child;
      throw new NetworkError(`slirp4netns failed: ${said(result)}; its command was: ${program} ${args.join(' ')}`);
    }

    let closing = false;
    return {
      info: {
        driver: 'slirp4netns',
        dns: [addresses.dns, ...(options.ipv6 ? ['fd00::3'] : [])],
        childIP: addresses.child,
      },
      onLost(listener) {
        child.then((result) => {
          if (!closing) listener(`slirp4netns ended: ${said(result)}`);
        });
      },
      async close() {
        closing = true;
        child.kill('SIGKILL');
        await child;
      },
    };
  },
};

/** The last words of a program that failed. */
function said(result: { all?: unknown; shortMessage?: string | undefined }): string {
  const lines = String(result.all ?? '')
    .trim()
    .split('\n');
  return lines.at(-1) || result.shortMessage || 'it said nothing';
}

/**
 * slirp4netns(1): a user-mode network over a tap device. It joins the child's namespaces, configures the device, and says
 * through a pipe when that is done.
 */
import { NetworkError } from '../errors.js';
import { findProgram } from '../find-program.js';
import { userModeAddresses } from './addresses.js';
import type { ChildNamespaces, Network, NetworkDemands, NetworkDriver, NetworkOptions, Switch } from './driver.js';
import { helpText, prepareHelpText } from './help-text.js';
import { READY_FD, startHelperProcess } from './helper-process.js';
import { tunProblem } from './tun.js';

const DEFAULT_MTU = 65520;
/** Its resolver with --enable-ipv6. */
const DNS6 = 'fd00::3';

export const slirp4netns: NetworkDriver = {
  name: 'slirp4netns',

  async probe({ slirp4netns: { binary } }) {
    if (!findProgram(binary)) return { what: `${binary} is not installed`, fix: 'sudo apt-get install slirp4netns' };
    return tunProblem();
  },

  prepare({ slirp4netns: { binary, sandbox, seccomp } }) {
    const program = findProgram(binary);
    if (program !== undefined && [sandbox, seccomp].includes('auto')) prepareHelpText(program);
  },

  async setup(child: ChildNamespaces, options: NetworkOptions, demands: NetworkDemands): Promise<Network> {
    const { binary, sandbox, seccomp } = options.slirp4netns;
    const program = findProgram(binary) ?? binary;
    const ifname = options.ifname ?? 'tap0';
    const mtu = options.mtu || DEFAULT_MTU;
    const { child: childIP, gateway, dns, prefix } = userModeAddresses(options.cidr);
    const supports = await supported(program, [sandbox, seccomp], child.netns !== undefined);

    const args = ['--configure', `--mtu=${mtu}`, '-r', String(READY_FD)];
    if (!options.hostLoopback) args.push('--disable-host-loopback');
    args.push(`--cidr=${options.cidr}`);
    if (demands.apiSocket !== undefined) args.push('--api-socket', demands.apiSocket);
    // Its sandbox cannot be had together with a namespace that is given by path (slirp4netns issue 317).
    if (sandbox === 'on' || (sandbox === 'auto' && child.netns === undefined && supports('--enable-sandbox')))
      args.push('--enable-sandbox');
    if (seccomp === 'on' || (seccomp === 'auto' && supports('--enable-seccomp'))) args.push('--enable-seccomp');
    if (options.ipv6) args.push('--enable-ipv6');
    if (child.netns === undefined) {
      args.push(String(child.pid), ifname);
    } else {
      if (!supports('--netns-type')) {
        throw new NetworkError(`${program} is too old for --detach-netns: it has no --netns-type; use 0.4.0 or later`);
      }
      args.push(`--userns-path=/proc/${child.pid}/ns/user`, '--netns-type=path', child.netns, ifname);
    }

    // One that it makes itself goes with it, and the kernel takes its time for that, which the end of everything waits for.
    const kept = await child.keepTap(ifname, true);
    const helper = startHelperProcess('slirp4netns', program, args);
    if (!(await helper.ready)) {
      const failure = await helper.failure();
      if (kept) await child.keepTap(ifname, false);
      throw failure;
    }
    return {
      info: {
        driver: 'slirp4netns',
        dns: [dns, ...(options.ipv6 ? [DNS6] : [])],
        childIP,
        ipv6: options.ipv6,
        device: ifname,
        prefix,
        gateway,
        mtu,
      },
      onLost: (listener) => helper.onEnd(listener),
      close: () => helper.close('SIGKILL'),
    };
  },
};

/** Which options the program has; it is asked only where something depends on the answer. */
async function supported(
  program: string,
  switches: readonly Switch[],
  detached: boolean,
): Promise<(option: string) => boolean> {
  if (!switches.includes('auto') && !detached) return () => false;
  const help = await helpText(program);
  return (option) => help.includes(option);
}

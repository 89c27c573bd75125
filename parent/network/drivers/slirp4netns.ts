/**
 * slirp4netns(1): a user-mode network over a tap device. It joins the child's namespaces, configures the device, and
 * reports through a pipe when that is done.
 */
import { rm } from 'node:fs/promises';
import { NetworkError } from '../../errors.js';
import { findProgram, missingProgram } from '../../programs/find-program.js';
import { prepareToRunPrograms } from '../../programs/run-programs.js';
import type { ChildNamespaces, Network, NetworkDemands, NetworkDriver, NetworkOptions } from '../driver.js';
import { userModeAddresses } from './addresses.js';
import { helpText } from './help-text.js';
import { type HelperProcess, READY_FD, startHelperProcess } from './helper-process.js';
import { tunProblem } from './tun.js';

const DEFAULT_IFNAME = 'tap0';
const DEFAULT_MTU = 65520;
/** Its DNS server with --enable-ipv6. */
const DNS6 = 'fd00::3';

export const slirp4netns: NetworkDriver = {
  name: 'slirp4netns',

  async probe({ slirp4netns: { binary } }) {
    if (!findProgram(binary)) {
      const usual = { name: 'slirp4netns', package: 'slirp4netns' };
      return missingProgram({ binary, option: '--slirp4netns-binary', usual });
    }
    return tunProblem();
  },

  prepare() {
    prepareToRunPrograms();
  },

  async setup(child: ChildNamespaces, options: NetworkOptions, demands: NetworkDemands): Promise<Network> {
    const { binary, sandbox, seccomp } = options.slirp4netns;
    const program = findProgram(binary) ?? binary;
    const ifname = options.ifname ?? DEFAULT_IFNAME;
    const mtu = options.mtu || DEFAULT_MTU;
    const { child: childIP, gateway, dns, prefix } = userModeAddresses(options.cidr);

    const args = ['--configure', `--mtu=${mtu}`, '-r', String(READY_FD)];
    if (!options.hostLoopback) args.push('--disable-host-loopback');
    args.push(`--cidr=${options.cidr}`);
    if (demands.apiSocket !== undefined) args.push('--api-socket', demands.apiSocket);
    const required: string[] = [];
    const wanted: string[] = [];
    // Its sandbox does not work with a namespace that is given by path (slirp4netns issue 317). Nor is it chosen for root:
    // there its mount namespace has the same owner, and where /tmp is a shared mount of its own, what the sandbox mounts
    // there appears on the host.
    if (sandbox === 'on') required.push('--enable-sandbox');
    else if (sandbox === 'auto' && child.netns === undefined && process.geteuid?.() !== 0)
      wanted.push('--enable-sandbox');
    if (seccomp === 'on') required.push('--enable-seccomp');
    else if (seccomp === 'auto') wanted.push('--enable-seccomp');
    const rest: string[] = [];
    if (options.ipv6) rest.push('--enable-ipv6');
    if (child.netns === undefined) {
      rest.push(String(child.pid), ifname);
    } else {
      if (!(await helpText(program)).includes('--netns-type')) {
        throw new NetworkError(`${program} is too old for --detach-netns: it has no --netns-type; use 0.4.0 or later`);
      }
      rest.push(`--userns-path=/proc/${child.pid}/ns/user`, '--netns-type=path', child.netns, ifname);
    }

    // A device that it makes itself ends with it, which takes the kernel long, and delays the end of the stack.
    const kept = await child.keepTap(ifname, true);
    const { helper, ready } = await startConfined(
      program,
      { required, wanted },
      {
        start: (confinement) => startHelperProcess('slirp4netns', program, [...args, ...confinement, ...rest]),
        warn: (line) => child.warn(line),
      },
    );
    if (!ready) {
      const failure = await helper.failure();
      if (kept) await child.keepTap(ifname, false);
      throw failure;
    }
    await child.allowMulticast(ifname);
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

  async setupAgain(child, options, demands) {
    // The device has the addresses and routes of the program that has ended, which cannot be added twice.
    await child.keepTap(options.ifname ?? DEFAULT_IFNAME, false);
    if (demands.apiSocket !== undefined) await rm(demands.apiSocket, { force: true });
    return this.setup(child, options, demands);
  },
};

/**
 * Starts the program with what confines it. All that is wanted is tried at once: looking into --help first would take longer
 * than a start. What it does not have, or cannot do here, is then left out.
 */
async function startConfined(
  program: string,
  { required, wanted }: { required: readonly string[]; wanted: readonly string[] },
  { start, warn }: { start: (confinement: readonly string[]) => HelperProcess; warn: (line: string) => void },
): Promise<{ helper: HelperProcess; ready: boolean }> {
  let confinement = [...required, ...wanted];
  let helper = start(confinement);
  if (await helper.ready) return { helper, ready: true };
  if (wanted.length === 0) return { helper, ready: false };

  const help = await helpText(program);
  const known = wanted.filter((option) => help.includes(option));
  if (known.length < wanted.length) {
    confinement = [...required, ...known];
    helper = start(confinement);
    if (await helper.ready) return { helper, ready: true };
  }
  if (known.length === 0 || required.length > 0) return { helper, ready: false };
  // Such as where a security module denies it mounts.
  const { message } = await helper.failure();
  helper = start([]);
  const ready = await helper.ready;
  if (ready) warn(`slirp4netns runs without ${confinement.join(' and ')}: ${message}`);
  return { helper, ready };
}

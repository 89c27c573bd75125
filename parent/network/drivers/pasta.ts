/**
 * pasta(1), from passt: a user-mode network over a tap device, which it makes and configures in the child's namespaces.
 * It runs in the foreground, as a child of this process that ends with it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { NetworkError } from '../../errors.js';
import { findProgram, missingProgram } from '../../programs/find-program.js';
import type { ChildNamespaces, Network, NetworkDemands, NetworkDriver, NetworkOptions } from '../driver.js';
import { userModeAddresses } from './addresses.js';
import { helpText } from './help-text.js';
import { startHelperProcess } from './helper-process.js';
import { tunProblem } from './tun.js';

const DEFAULT_MTU = 65520;
const POLL_MS = 5;
/** How long it may take to bring the network up, in ms. */
const READY_TIMEOUT_MS = 15_000;

const LEAK =
  "with --port-driver=implicit this version of pasta forwards connections to loopback inside to TCP servers on the host's loopback; hint: use --port-driver=builtin, or a passt of 2024_10_30 or later";

export const pasta: NetworkDriver = {
  name: 'pasta',

  async probe({ pasta: { binary } }) {
    if (!findProgram(binary)) {
      return missingProgram({ binary, option: '--pasta-binary', usual: { name: 'pasta', package: 'passt' } });
    }
    return tunProblem();
  },

  async setup(child: ChildNamespaces, options: NetworkOptions, demands: NetworkDemands): Promise<Network> {
    const program = findProgram(options.pasta.binary) ?? options.pasta.binary;
    const ifname = options.ifname ?? 'tap0';
    const mtu = options.mtu || DEFAULT_MTU;
    const { child: childIP, gateway, dns, prefix } = userModeAddresses(options.cidr);
    const ports = demands.implicitPorts ? 'auto' : 'none';
    const args = [
      '--foreground',
      '--quiet',
      `--ns-ifname=${ifname}`,
      `--mtu=${mtu}`,
      '--config-net',
      `--address=${childIP}`,
      `--netmask=${prefix}`,
      `--gateway=${gateway}`,
      `--dns-forward=${dns}`,
    ];
    // Versions of the end of 2024 and later have this option.
    const isRecent = demands.implicitPorts && (await helpText(program)).includes('--host-lo-to-ns-lo');
    const leaks = demands.implicitPorts && !options.hostLoopback && !isRecent;
    if (leaks && options.refuseHostLoopback)
      throw new NetworkError(`--disable-host-loopback cannot be enforced: ${LEAK}`);
    if (!options.hostLoopback) args.push('--no-map-gw');
    if (!options.ipv6) args.push('--ipv4-only');
    args.push(`--tcp-ports=${ports}`, `--udp-ports=${ports}`);
    // With its default, `auto`, connections of the child to its own loopback end at servers of the host; but versions up
    // to 2023 at least find no ports of the child without it.
    if (!demands.implicitPorts || (isRecent && !options.hostLoopback)) args.push('--tcp-ns=none');
    args.push('--udp-ns=none');
    if (isRecent) args.push('--host-lo-to-ns-lo');
    if (child.netns === undefined) args.push(String(child.pid));
    else args.push(`--userns=/proc/${child.pid}/ns/user`, `--netns=${child.netns}`);

    const helper = startHelperProcess('pasta', program, args);
    // In the foreground it does not report when it is ready: the route is what it makes last.
    const deadline = Date.now() + READY_TIMEOUT_MS;
    try {
      while (!helper.ended && !(await child.hasDefaultRoute())) {
        if (Date.now() > deadline) {
          throw new NetworkError(
            `pasta made no default route in ${READY_TIMEOUT_MS / 1000} s; its command was: ${program} ${args.join(' ')}`,
          );
        }
        await delay(POLL_MS);
      }
    } catch (error) {
      await helper.close('SIGKILL');
      throw error;
    }
    if (helper.ended) throw await helper.failure();
    return {
      info: { driver: 'pasta', dns: [dns], childIP, ipv6: options.ipv6, device: ifname, prefix, gateway, mtu },
      ...(leaks && { warnings: [LEAK] }),
      onLost: (listener) => helper.onEnd(listener),
      close: () => helper.close('SIGTERM'),
    };
  },

  // Its device ended with it.
  setupAgain(child, options, demands) {
    return this.setup(child, options, demands);
  },
};

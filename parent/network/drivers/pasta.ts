/**
 * pasta(1), from passt: a user-mode network over a tap device, which it makes and configures in the child's namespaces.
 * It stays in the foreground, so that it is our child and ends with us.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { NetworkError } from '../errors.js';
import { findProgram } from '../find-program.js';
import { userModeAddresses } from './addresses.js';
import type { ChildNamespaces, Network, NetworkDemands, NetworkDriver, NetworkOptions } from './driver.js';
import { helpText } from './help-text.js';
import { startHelperProcess } from './helper-process.js';
import { tunProblem } from './tun.js';

const DEFAULT_MTU = 65520;
const POLL_MS = 5;
/** Time that it has for bringing the network up, in ms. */
const PATIENCE_MS = 15_000;

export const pasta: NetworkDriver = {
  name: 'pasta',

  async probe({ pasta: { binary } }) {
    if (!findProgram(binary)) return { what: `${binary} is not installed`, fix: 'sudo apt-get install passt' };
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
    if (!options.hostLoopback) args.push('--no-map-gw');
    if (!options.ipv6) args.push('--ipv4-only');
    args.push(`--tcp-ports=${ports}`, `--udp-ports=${ports}`);
    // With its default, `auto`, connections of the child to its own loopback end at servers of the host's; but versions
    // up to 2023 at least find no ports of the child without it.
    if (!demands.implicitPorts) args.push('--tcp-ns=none');
    args.push('--udp-ns=none');
    if (demands.implicitPorts && (await helpText(program)).includes('--host-lo-to-ns-lo'))
      args.push('--host-lo-to-ns-lo');
    if (child.netns === undefined) args.push(String(child.pid));
    else args.push(`--userns=/proc/${child.pid}/ns/user`, `--netns=${child.netns}`);

    const helper = startHelperProcess('pasta', program, args);
    // In the foreground it does not say when it is ready: the route, which it makes last, says.
    const deadline = Date.now() + PATIENCE_MS;
    try {
      while (!helper.ended && !(await child.hasDefaultRoute())) {
        if (Date.now() > deadline) {
          throw new NetworkError(
            `pasta made no default route in ${PATIENCE_MS / 1000} s; its command was: ${program} ${args.join(' ')}`,
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
      onLost: (listener) => helper.onEnd(listener),
      close: () => helper.close('SIGTERM'),
    };
  },
};

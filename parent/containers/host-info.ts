import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import type { NetworkDriverInfo } from '../../protocol/api/types.js';
import type { HostInfo } from '../../protocol/wire/messages.js';
import { type HostReach, hostAddressInside, hostGatewayIP } from '../network/host/gateway.js';

/** Where systemd-resolved lists its upstream DNS servers (systemd-resolved.service(8)). */
const RESOLVED = '/run/systemd/resolve/resolv.conf';
/** With loopback only, no device of the host limits the size of packets. */
const LOOPBACK_MTU = 65_520;

/** The host's current settings that containers depend on. */
export async function hostInfo(
  network: NetworkDriverInfo | undefined,
  hostReach: HostReach,
  policed: boolean,
): Promise<HostInfo> {
  const hostAddress = network ? hostAddressInside(network, hostReach) : '';
  const read = (path: string) => readFile(path, 'utf8').catch(() => undefined);
  return {
    resolvConf: (await read('/etc/resolv.conf')) ?? '',
    resolvedConf: await read(RESOLVED),
    hostname: hostname(),
    dns: network?.dns ?? [],
    reach: { v4: network?.driver !== 'none', v6: network?.ipv6 ?? false },
    hostAddress,
    // All of the host's loopback: more than its own address leads to.
    hostGatewayIP: (hostReach.hostLoopback && hostAddress) || hostGatewayIP(),
    direct: network?.driver === 'builtin' ? (network.device ?? '') : '',
    policed,
    mtu: network?.mtu ?? (network?.driver === 'none' ? LOOPBACK_MTU : 0),
  };
}

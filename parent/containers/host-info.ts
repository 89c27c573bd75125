import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import type { NetworkDriverInfo } from '../../protocol/api.js';
import type { HostFacts } from '../../protocol/messages.js';
import { hostGatewayIP } from '../host-gateway.js';

/** Where systemd-resolved keeps the resolvers that it asks itself (systemd-resolved.service(8)). */
const RESOLVED = '/run/systemd/resolve/resolv.conf';
/** Nothing of the host's is in the way of large packets where there is only loopback. */
const LOOPBACK_MTU = 65_520;

/** What containers need to know of the host, now. */
export async function hostFacts(network: NetworkDriverInfo | undefined): Promise<HostFacts> {
  const read = (path: string) => readFile(path, 'utf8').catch(() => undefined);
  return {
    resolvConf: (await read('/etc/resolv.conf')) ?? '',
    resolvedConf: await read(RESOLVED),
    hostname: hostname(),
    dns: network?.dns ?? [],
    hostGatewayIP: hostGatewayIP(),
    mtu: network?.mtu ?? (network?.driver === 'none' ? LOOPBACK_MTU : 0),
  };
}

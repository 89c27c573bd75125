/** The configuration list of an overlay network: a bridge network with this host's subnets, and a tunnel to the others. */
import { createHash } from 'node:crypto';
import type { OverlayState } from '../../../../protocol/overlay/types.js';
import type { ConfList } from '../cni/executor/types.js';
import { localIpam } from '../conflist-builder.js';
import { bridgeDevice, MARK, OVERLAY_PLUGIN } from '../network.js';
import { EMPTY_REQUEST } from '../network-request.js';

/** Other CNI runtimes have no plugin of that type, and so do not use the network. @param dataDir where host-local keeps its reservations */
export function overlayList(state: OverlayState, dataDir: string): ConfList {
  const { network, networks, internal, subnets, mtu } = state;
  return {
    cniVersion: '1.0.0',
    name: network,
    [MARK]: { labels: {}, auxAddresses: [], icc: true },
    plugins: [
      {
        type: OVERLAY_PLUGIN,
        bridge: bridgeDevice(network),
        isGateway: !internal,
        mtu,
        tunnel: tunnelDevice(network),
        networks,
        ipam: { ...localIpam({ ...EMPTY_REQUEST, internal }, dataDir, subnets) },
        capabilities: { ips: true },
      },
    ],
  };
}

/** 15 characters at most. */
export function tunnelDevice(network: string): string {
  return `rnw-${createHash('sha256').update(network).digest('hex').slice(0, 11)}`;
}

/** The parts of the engine that operations on whole networks need. */
import type { NameService } from '../../dns/name-service.js';
import type { ContainerLiveness } from '../lifecycle/gc/container-liveness.js';
import type { ContainerManager } from '../lifecycle/manager.js';
import type { Attacher } from '../network/attacher.js';
import type { BridgeDriver } from '../network/bridge/driver.js';
import type { CNI } from '../network/cni/executor/chain.js';
import type { Collisions } from '../network/collisions.js';
import type { EgressPolicies } from '../network/egress/policies.js';
import type { Ipam } from '../network/ipam/ipam.js';
import type { PeerRegistry } from '../network/name-files/peer-registry.js';
import type { NetworkRegistry } from '../network/registry.js';

export interface NetworkAdminDeps {
  policies: EgressPolicies;
  containers: Pick<ContainerManager, 'store' | 'report' | 'exclusively' | 'changeEgress' | 'restorePolicies'>;
  liveness: Pick<ContainerLiveness, 'isLive'>;
  networks: NetworkRegistry;
  attacher: Pick<Attacher, 'on' | 'check' | 'finished'>;
  bridges: Pick<BridgeDriver, 'remove'>;
  cni: Pick<CNI, 'status'>;
  ipam: Pick<Ipam, 'keep' | 'forget'>;
  collisions: Pick<Collisions, 'of'>;
  names: Pick<NameService, 'report' | 'ask' | 'holdersOf'>;
  peers: Pick<PeerRegistry, 'attached'>;
}

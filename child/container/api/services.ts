import type { GarbageCollector } from '../lifecycle/gc/garbage-collector.js';
import type { ContainerManager } from '../lifecycle/manager.js';
import type { OverlayNetworks } from '../network/overlay/overlays.js';
import type { NetworkRegistry } from '../network/registry.js';
import type { NetworkAdmin } from '../network-admin/network-admin.js';
import type { UsageReports } from '../process/usage-reports.js';
import type { ContainerStreams } from './exec-streams.js';
import type { OCIHooks } from './oci-hooks.js';

/** What the routes call. */
export interface Services {
  containers: ContainerManager;
  networks: NetworkRegistry;
  overlays: OverlayNetworks;
  networkAdmin: NetworkAdmin;
  hooks: OCIHooks;
  garbage: GarbageCollector;
  streams: ContainerStreams;
  usage: UsageReports;
  warn: (line: string) => void;
}

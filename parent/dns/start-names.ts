/** Step of the start: names that the parent answers, and events of queries. */
import type { NameListener } from '../../protocol/dns/name-listener.js';
import { encodeStackRecord, type StackRecord } from '../../protocol/state/stack-record.js';
import type { EventBus } from '../api/event-bus.js';
import type { ContainerService } from '../containers/service.js';
import type { EngineHost } from '../engine/engine-host.js';
import type { Network } from '../network/driver.js';
import type { PortDriver } from '../port/driver.js';
import type { StartContext } from '../stack/options.js';
import type { StateDir } from '../state/state-dir.js';
import type { HostNames } from './host-names.js';
import { ownZone } from './own-names.js';
import { announceChange, publishedAddresses } from './published-addresses.js';
import { QueryEvents } from './query-events.js';

export interface NamesDeps {
  containers: ContainerService | undefined;
  engineHost: EngineHost;
  events: EventBus;
  network: Network;
  ports: { driver: PortDriver | undefined };
  record: StackRecord;
  stateDir: StateDir;
}

/** The stack's names, as the API reports them. */
export type NamesReport = ReturnType<HostNames['report']>;

/**
 * Begins when the ports of the start are published. Resolves with what reports about the server for the host's programs; undefined
 * without one. Throws UserError where that cannot listen.
 */
export async function startNames(context: StartContext, deps: NamesDeps): Promise<(() => NamesReport) | undefined> {
  const { options } = context;
  const { containers, engineHost, events, network } = deps;
  const queries = new QueryEvents((event) => events.emit(event));
  engineHost.onQuery = (event) => queries.onQuery(event);
  if (containers) containers.onQueries = (reports) => queries.onReports(reports);
  events.onQueriesWanted = (wanted) => {
    engineHost.engine.watchQueries(wanted);
    containers?.watchQueries(wanted);
  };
  // Its DNS server is the engine's.
  if (network.info?.driver === 'builtin') {
    engineHost.engine.setOwnNames(ownZone(network.info, options.network, options.name?.text));
  }
  const { dnsPublish } = options;
  if (!dnsPublish && !options.name) return undefined;
  const hostNames = dnsPublish && (await openHostNames(context, dnsPublish, deps));
  followPorts(context, deps, () => hostNames?.changed());
  return hostNames && (() => hostNames.report());
}

async function openHostNames(
  { options, undo }: StartContext,
  { listener, namesLock }: { listener: NameListener; namesLock: string },
  { containers, engineHost, record }: NamesDeps,
): Promise<HostNames> {
  // Most stacks have none.
  const [{ HostNames }, { NamedStacks }] = await Promise.all([import('./host-names.js'), import('./named-stacks.js')]);
  const stacks = new NamedStacks(namesLock, record.stateDir, () => names.changed());
  undo.push('stop watching named stacks', () => stacks.close());
  const names: HostNames = HostNames.open(listener, {
    engine: engineHost.engine,
    own: () => (options.name ? record : {}),
    others: () => stacks.list(),
    publishedBy: (id) => publishedAddresses(containers?.publishedBy(id) ?? []),
  });
  undo.push('close the DNS server for the host', () => names.close());
  if (containers) {
    containers.onNames = (published) => names.setContainers(published);
    containers.onPublished.push(() => names.changed());
  }
  return names;
}

/** Keeps the addresses of published ports in the record, where other stacks read them. */
function followPorts(
  { options, undo, log }: StartContext,
  { containers, events, ports: { driver }, record, stateDir }: NamesDeps,
  changed: () => void,
): void {
  const { name } = options;
  if (!name || !driver) return;
  let scheduled: NodeJS.Immediate | undefined;
  const update = () => {
    scheduled = undefined;
    const addresses = publishedAddresses(driver.list().filter(({ id }) => !containers?.hasPort(id)));
    if (addresses.join() === (record.addresses ?? []).join()) return;
    record.addresses = addresses;
    try {
      stateDir.record(encodeStackRecord(record));
    } catch (error) {
      log.debug(`${error instanceof Error ? error.message : error}`);
    }
    announceChange(name.lock);
    changed();
  };
  update();
  const unsubscribe = events.subscribe(
    ({ type }) => {
      if (type === 'port-added' || type === 'port-removed') scheduled ??= setImmediate(update);
    },
    { connections: false },
  );
  undo.push('stop following ports', () => {
    clearImmediate(scheduled);
    unsubscribe();
  });
}

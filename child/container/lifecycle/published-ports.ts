/** The published ports of containers, and the file in which nerdctl expects them (network-config.json). */
import { join } from 'node:path';
import { errorText } from '../../../protocol/errors/error-text.js';
import { type CNIPortMapping, cniMappingOf, cniSingles, mappingOf } from '../../../protocol/ports/cni-json.js';
import { joined } from '../../../protocol/ports/port-mapping.js';
import { type AttachState, listedAddress } from '../network/attachment-store.js';
import { ParentError } from '../parent-link.js';
import { portConflict } from '../ports/port-holders.js';
import { readJSON, writeJSON } from '../storage/atomic-files.js';
import type { ContainerRecord, ContainerStore } from '../storage/container-store.js';
import type { EngineContext } from './context.js';

/** Before the start it has the ports that were requested, 0 for one still to be chosen; from the start on those published. */
export async function writeNetworkConfig(
  store: ContainerStore,
  id: string,
  published: readonly CNIPortMapping[],
): Promise<void> {
  const portMappings = cniSingles(published).map(({ hostIP, hostPort, containerPort, protocol }) => ({
    HostPort: hostPort,
    ContainerPort: containerPort,
    Protocol: protocol,
    HostIP: hostIP,
  }));
  await writeJSON(configFile(store, id), { portMappings }, 0o644);
}

/** Throws what PortPublisher.reserve() throws; a conflict names the container that holds the port, where there is one. */
export async function reservePorts(ctx: EngineContext, { id, request }: ContainerRecord): Promise<CNIPortMapping[]> {
  const { store, ports, attacher } = ctx;
  try {
    return await ports.reserve(id, request.publish);
  } catch (error) {
    if (!(error instanceof ParentError)) throw error;
    const running = store.all().filter((other) => store.run(other.id)?.status === 'running');
    const holders = running.map(async (other) => ({
      name: other.name,
      ports: await openPorts(ctx, other, await attacher.state(other.id)).catch(() => []),
    }));
    throw portConflict(request.publish, await Promise.all(holders)) ?? error;
  }
}

/** Publishes what listens in a container that runs, if it is to be; what fails is warned of, since the container runs. */
export async function publishListeners(ctx: EngineContext, { id, name, request }: ContainerRecord): Promise<void> {
  const pid = ctx.store.run(id)?.pid;
  if (request.autoPublish.length === 0 || pid === undefined) return;
  const childIP = listedAddress(await ctx.attacher.state(id));
  const netns = `/proc/${pid}/ns/net`;
  await ctx.ports
    .publishListeners({ owner: id, name, childIP, rules: request.autoPublish, netns })
    .catch((error: unknown) => ctx.warn(`cannot publish what listens in the container ${name}: ${errorText(error)}`));
}

/** The ports that a running container has on the host. */
export async function openPorts(
  ctx: EngineContext,
  record: ContainerRecord,
  state: AttachState,
): Promise<CNIPortMapping[]> {
  const ports = await publishedPorts(ctx.store, record, state);
  if (record.request.autoPublish.length === 0) return ports;
  return [...ports, ...(await ctx.ports.opened(record.id).catch(() => []))];
}

/** Those that it was created with. */
async function publishedPorts(
  store: ContainerStore,
  { id, request }: ContainerRecord,
  state: AttachState,
): Promise<CNIPortMapping[]> {
  if (state.ports.length > 0 || request.publish.length === 0 || request.network.mode === 'networks') return state.ports;
  const config = (await readJSON(configFile(store, id))) as {
    portMappings?: { HostPort: number; ContainerPort: number; Protocol: 'tcp' | 'udp'; HostIP: string }[];
  } | null;
  const mappings = Array.isArray(config?.portMappings) ? config.portMappings : [];
  return joined(
    mappings.map(({ HostPort, ContainerPort, Protocol, HostIP }) =>
      mappingOf({ hostIP: HostIP, hostPort: HostPort, containerPort: ContainerPort, protocol: Protocol }),
    ),
  ).map(cniMappingOf);
}

function configFile(store: ContainerStore, id: string): string {
  return join(store.directoryOf(id), 'network-config.json');
}

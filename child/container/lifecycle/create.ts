/** Creation of containers: checks the request, and records it by names that last. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { shortId } from '../../../protocol/containers/short-id.js';
import type { ContainerNetwork, ContainerRequest } from '../../../protocol/containers/types.js';
import { errorText } from '../../../protocol/errors/error-text.js';
import { RouteSocket } from '../../netlink/route.js';
import { ContainerError } from '../errors.js';
import { withInterfaces } from '../network/attach-request.js';
import { DEFAULT_NETWORK } from '../network/network.js';
import { bundleCommand } from '../oci/bundle.js';
import { checkRootDirectory } from '../oci/root-directory.js';
import { defaultRuntime } from '../oci/runtime.js';
import { seccompOf } from '../oci/seccomp/index.js';
import type { ContainerRecord } from '../storage/container-store.js';
import { friendlyName } from '../storage/friendly-name.js';
import { checkEgress } from './container-network.js';
import type { EngineContext } from './context.js';
import { writeNetworkConfig } from './published-ports.js';

/** Throws ContainerError; nothing is left then. */
export async function createContainer(ctx: EngineContext, request: ContainerRequest): Promise<ContainerRecord> {
  const { store, names, faults } = ctx;
  const id = randomBytes(32).toString('hex');
  checkRootDirectory(request);
  if (request.bundle !== undefined && request.command === undefined) await bundleCommand(request.bundle);
  if (request.seccomp !== undefined) seccompOf(request.seccomp, [], ctx.warn);
  // Checked now rather than at the start.
  const network = await withLastingNames(ctx, request.network);
  const runtime = request.runtime ?? defaultRuntime();
  const hostname = request.hostname ?? (await sharedHostname(ctx, network)) ?? shortId(id);
  const recordOf = (name: string): ContainerRecord => {
    return { id, name, hostname, created: new Date().toISOString(), request: { ...request, network, runtime } };
  };
  await checkEgress(ctx, recordOf(request.name ?? shortId(id)));
  mkdirSync(store.directoryOf(id), { recursive: true, mode: 0o755 });
  let name = request.name ?? '';
  try {
    return await names.exclusively(async () => {
      name ||= friendlyName((taken) => store.all().some((other) => other.name === taken));
      const record = recordOf(name);
      await faults.step('create', 'name', () => names.acquire(name, id));
      await faults.step('create', 'files', async () => {
        await ctx.nameFiles.write(record);
        await writeNetworkConfig(store, id, request.publish);
      });
      await faults.step('create', 'record', () => store.write(record));
      return record;
    });
  } catch (error) {
    if (name !== '') await names.release(name, id);
    await store.removeFiles(id);
    store.forget(id);
    throw error;
  }
}

/**
 * The request with names that do not change: those of networks, with the interface for each, and the id of a container.
 * Throws ContainerError if there is no such network, container or namespace.
 */
async function withLastingNames(
  { attacher, store }: EngineContext,
  network: ContainerNetwork,
): Promise<ContainerNetwork> {
  switch (network.mode) {
    case 'networks': {
      const asked = network.networks.length > 0 ? network.networks : [{ network: DEFAULT_NETWORK }];
      const resolved = await attacher.resolve(asked);
      const named = resolved.map(({ request, network }) => ({ ...request, network: network.name }));
      return { mode: 'networks', networks: withInterfaces(named) };
    }
    case 'container':
      return { mode: 'container', container: store.find(network.container).id };
    case 'ns':
      checkNetns(network.path);
      return network;
    default:
      return network;
  }
}

/** The host name in the name files that the container shares; undefined if it has a host name of its own. */
async function sharedHostname(ctx: EngineContext, network: ContainerNetwork): Promise<string | undefined> {
  if (network.mode === 'host') return (await ctx.hostInfo()).hostname;
  return network.mode === 'container' ? ctx.store.find(network.container).hostname : undefined;
}

/** Throws ContainerError if no network namespace is at that path, or the stack may not enter it. */
function checkNetns(path: string): void {
  if (!existsSync(path)) throw new ContainerError(`no network namespace at ${path}`);
  try {
    new RouteSocket(path)[Symbol.dispose]();
  } catch (error) {
    throw new ContainerError(`cannot use ${path} as a network namespace: ${errorText(error)}`);
  }
}

/** The networks of a container that exists: what it requested, and its changes while it runs. */
import { type AttachmentRequest, type ContainerNetwork, MAX_NETWORKS } from '../../../protocol/containers/types.js';
import { ConflictError } from '../errors.js';
import { type AttachRequest, aliasesOf, interfaceOf, withInterfaces } from '../network/attach-request.js';
import type { AttachState } from '../network/attachment-store.js';
import { extraHostsOf } from '../network/name-files/name-files.js';
import type { HeldNamespace } from '../process/shared-namespaces.js';
import type { ContainerRecord } from '../storage/container-store.js';
import type { EngineContext } from './context.js';
import { writeNetworkConfig } from './published-ports.js';
import { refreshStatus } from './run-end.js';

/** The networks that a container is to be on; undefined if it has no network namespace for them. */
export function networksOf({ request }: Pick<ContainerRecord, 'request'>): AttachmentRequest[] | undefined {
  return request.network.mode === 'networks' ? request.network.networks : undefined;
}

/** The network namespace in the OCI configuration: "" for a new one, undefined for the stack's. */
export function netnsOf(network: ContainerNetwork): string | undefined {
  return network.mode === 'host' ? undefined : network.mode === 'ns' ? network.path : '';
}

/** The namespace that a container shares with others, where it does. Throws ConflictError. */
export function sharedNamespaceOf(
  { shared }: EngineContext,
  { id, request: { network } }: ContainerRecord,
): HeldNamespace | undefined {
  if (network.mode === 'container') return shared.of(network.container);
  return network.mode === 'networks' || network.mode === 'none' ? shared.remaining(id) : undefined;
}

/** Runs the task while the container whose network this one shares is neither started nor ended. */
export function withNetworkOwner<T>(
  { locks }: EngineContext,
  { request: { network } }: ContainerRecord,
  task: () => Promise<T>,
): Promise<T> {
  return network.mode === 'container' ? locks.exclusively(network.container, task) : task();
}

/** @param pid of the container's process; 0 if there is none yet */
export async function attachRequestOf(
  ctx: EngineContext,
  record: ContainerRecord,
  pid: number,
): Promise<AttachRequest> {
  const { id, name, hostname, request } = record;
  return {
    id,
    own: true,
    name,
    hostname,
    domainname: request.domainname,
    extraHosts: extraHostsOf(record, await ctx.hostInfo()),
    netns: pid === 0 ? '' : `/proc/${pid}/ns/net`,
    pid,
    egress: request.egress,
    limit: request.limit,
    networks: networksOf(record) ?? [],
    publish: request.publish,
  };
}

/** Enters a running container into its peers' hosts files, under the name that it has now. */
export async function publishPeerNames(ctx: EngineContext, record: ContainerRecord): Promise<void> {
  const state = await ctx.attacher.state(record.id);
  const attach = await attachRequestOf(ctx, record, ctx.store.run(record.id)?.pid ?? 0);
  await ctx.peers.join({ ...attach, state, aliases: aliasesOf(attach.networks) });
}

/** Puts a container on one more network. Throws ContainerError. */
export function connectNetwork(ctx: EngineContext, text: string, asked: AttachmentRequest): Promise<AttachState> {
  const { id } = ctx.store.find(text);
  return ctx.locks.exclusively(id, async () => {
    // Its pid may be another process's by now.
    await refreshStatus(ctx, ctx.store.find(id));
    const record = ctx.store.find(id);
    const [resolved] = networksOf(record) ? await ctx.attacher.resolve([asked]) : [];
    const network = resolved?.network.name ?? asked.network;
    const networks = checkConnect(record, { ...asked, network });
    const next = withNetworks(record, withInterfaces([...networks, { ...asked, network }]));
    const run = ctx.store.run(id);
    const state =
      run?.status === 'running'
        ? await ctx.attacher.connect(await attachRequestOf(ctx, next, run.pid ?? 0))
        : await ctx.attacher.state(id);
    await recordNetworks(ctx, next, state);
    return state;
  });
}

/** Returns the networks that the container is on. Throws ConflictError if the other one cannot be added. */
function checkConnect(record: ContainerRecord, { network, interface: ifname }: AttachmentRequest): AttachmentRequest[] {
  const networks = networksOf(record);
  const refuse = (why: string): ConflictError => new ConflictError(`the container ${record.name} ${why}`);
  if (!networks) throw refuse(`has no networks of its own (--network=${record.request.network.mode})`);
  if (networks.some((entry) => entry.network === network)) throw refuse(`is already on the network ${network}`);
  if (networks.length >= MAX_NETWORKS) throw refuse(`is on ${MAX_NETWORKS} networks, which is the maximum`);
  if (ifname !== undefined && networks.map(interfaceOf).includes(ifname)) {
    throw refuse(`already has an interface ${ifname}`);
  }
  return networks;
}

/** Takes a container off a network. Throws ContainerError. */
export function disconnectNetwork(ctx: EngineContext, text: string, name: string): Promise<AttachState> {
  const { id } = ctx.store.find(text);
  return ctx.locks.exclusively(id, async () => {
    await refreshStatus(ctx, ctx.store.find(id));
    const record = ctx.store.find(id);
    const networks = networksOf(record) ?? [];
    const [wanted] = await ctx.attacher.resolve([{ network: name }]);
    const left = networks.filter(({ network }) => network !== wanted?.network.name);
    if (!wanted || left.length === networks.length) {
      throw new ConflictError(`the container ${record.name} is not on the network ${name}`);
    }
    const next = withNetworks(record, left);
    const run = ctx.store.run(id);
    let state: AttachState;
    if (run?.status === 'running') {
      state = await ctx.attacher.disconnect(await attachRequestOf(ctx, next, run.pid ?? 0), wanted.network);
    } else {
      await ctx.attacher.release(id, wanted.network.name);
      state = await ctx.attacher.state(id);
    }
    await recordNetworks(ctx, next, state);
    return state;
  });
}

/** What may change of a request while the container runs. */
export type EgressRequest = Pick<ContainerRecord['request'], 'egress' | 'limit'>;

/** Changes a container's own egress policy and rate limit, which hold at once where it runs. Throws ContainerError. */
export function changeEgress(
  ctx: EngineContext,
  text: string,
  edit: (request: EgressRequest) => Partial<EgressRequest>,
): Promise<ContainerRecord> {
  const { id } = ctx.store.find(text);
  return ctx.locks.exclusively(id, async () => {
    await refreshStatus(ctx, ctx.store.find(id));
    const record = ctx.store.find(id);
    const next = { ...record, request: { ...record.request, ...edit(record.request) } };
    await checkEgress(ctx, next);
    const running = ctx.store.run(id)?.status === 'running';
    if (running) await ctx.attacher.policies.restore(id, next);
    await ctx.store.write(next);
    if (running) await ctx.nameFiles.follow(next);
    return next;
  });
}

/** Throws ContainerError where a container has a policy of its own, or a limit, that cannot be enforced. */
export async function checkEgress(
  ctx: EngineContext,
  { id, name, request }: Pick<ContainerRecord, 'id' | 'name' | 'request'>,
): Promise<void> {
  const { network, egress, limit } = request;
  if (egress.length === 0 && limit === undefined) return;
  const sharing = {
    host: "the stack's network",
    container: 'the network of another container',
    ns: 'a foreign network',
  };
  if (network.mode === 'container' || network.mode === 'host' || network.mode === 'ns') {
    throw new ConflictError(
      `${name} cannot have ${limit === undefined ? 'an egress policy' : 'a rate limit'} of its own: it shares ${sharing[network.mode]}; hint: leave out --network ${network.mode}`,
    );
  }
  ctx.attacher.policies.check({ id, name, egress, limit }, await ctx.attacher.resolve(networksOf({ request }) ?? []));
}

async function recordNetworks(ctx: EngineContext, record: ContainerRecord, state: AttachState): Promise<void> {
  await ctx.store.write(record);
  if (ctx.store.run(record.id)?.status !== 'running') return;
  await ctx.nameFiles.follow(record);
  await writeNetworkConfig(ctx.store, record.id, state.ports);
}

function withNetworks(record: ContainerRecord, networks: AttachmentRequest[]): ContainerRecord {
  return { ...record, request: { ...record.request, network: { mode: 'networks', networks } } };
}

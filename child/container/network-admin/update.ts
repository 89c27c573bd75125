/**
 * Changes the subnets of a network, for instance because the host now reaches the old one through a VPN.
 *
 * Theory of operation. While none of its containers runs, and none of them can be started: the new list is computed and
 * checked; then the file is written and the old bridge is removed; then addresses outside the new subnets are released, and
 * addresses requested by containers move to the same offset in the new subnet. If this is interrupted, the file is
 * authoritative: containers get addresses from it at their next start.
 */
import type { NetworkUpdate } from '../../../protocol/containers/types.js';
import { includes, parseCIDR, type Subnet } from '../../../protocol/net/cidr.js';
import { formatIP, parseIP } from '../../../protocol/net/ip.js';
import { ConflictError } from '../errors.js';
import { lastHost } from '../network/ipam/subnets.js';
import { type Network, subnetsOf } from '../network/network.js';
import type { ContainerRecord } from '../storage/container-store.js';
import type { NetworkAdminDeps } from './deps.js';
import { foreignMembersOf, membersOf } from './members.js';

/** How many containers a message names. */
const MAX_NAMES = 5;

/** Resolves with the changed network. Throws ContainerError; nothing is changed then. */
export async function updateNetwork(deps: NetworkAdminDeps, network: Network, update: NetworkUpdate): Promise<Network> {
  const { networks, containers, bridges, ipam } = deps;
  await deps.attacher.finished();
  const members = membersOf(deps, network);
  // Updates the status of those that should be running.
  for (const member of members) await containers.report(member);
  return whileAll(containers, members.map(({ id }) => id).sort(), async () => {
    await requireStopped(deps, network);
    let moved: ContainerRecord[] = [];
    const next = await networks.update(network, update, (planned) => {
      moved = membersOf(deps, network).flatMap((record) => movedRecord(record, network, planned) ?? []);
    });
    await bridges.remove(network);
    await ipam.keep(
      network.name,
      subnetsOf(next).flatMap(({ subnet }) => parseCIDR(subnet)?.subnet ?? []),
    );
    for (const record of moved) await containers.store.write(record);
    return next;
  });
}

async function whileAll<T>(
  containers: NetworkAdminDeps['containers'],
  ids: readonly string[],
  task: () => Promise<T>,
): Promise<T> {
  const [first, ...rest] = ids;
  return first === undefined ? task() : containers.exclusively(first, () => whileAll(containers, rest, task));
}

/** Throws ConflictError if a container on the network runs or is being started, of another OCI runtime as well. */
async function requireStopped(deps: NetworkAdminDeps, network: Network): Promise<void> {
  const { store } = deps.containers;
  const own = membersOf(deps, network).filter(({ id }) => {
    const status = store.run(id)?.status;
    return status === 'running' || status === 'starting';
  });
  const running = [...new Set([...own.map(({ name }) => name), ...(await foreignMembersOf(deps, network))])];
  if (running.length === 0) return;
  const users = running.length === 1 ? 'a running container' : `${running.length} running containers`;
  const shown = `${running.slice(0, MAX_NAMES).join(' ')}${running.length > MAX_NAMES ? ' …' : ''}`;
  throw new ConflictError(`the network ${network.name} is in use by ${users}; hint: rootless-net stop ${shown}`);
}

/** The record with its requested addresses moved; undefined without networks. Throws ConflictError if one does not fit. */
function movedRecord(record: ContainerRecord, from: Network, to: Network): ContainerRecord | undefined {
  const { network } = record.request;
  if (network.mode !== 'networks') return undefined;
  const networks = network.networks.map((entry) => {
    if (entry.network !== from.name) return entry;
    const [ip, ip6] = [entry.ip, entry.ip6].map((address) => movedAddress(record.name, address, from, to));
    return { ...entry, ...(ip === undefined ? {} : { ip }), ...(ip6 === undefined ? {} : { ip6 }) };
  });
  return { ...record, request: { ...record.request, network: { mode: 'networks', networks } } };
}

/** Throws ConflictError. */
function movedAddress(container: string, text: string | undefined, from: Network, to: Network): string | undefined {
  const address = text === undefined ? undefined : parseIP(text);
  if (text === undefined || !address) return undefined;
  const [before, after] = [from, to].map((network) => subnetOf(network, address.family));
  if (!before || !after || includes(after, address) || !includes(before, address)) return text;
  const moved = { family: address.family, value: after.first + address.value - before.first };
  const { subnet = '', gateway } =
    subnetsOf(to).find((entry) => parseCIDR(entry.subnet)?.subnet.first === after.first) ?? {};
  const last = parseIP(lastHost(subnet));
  if (!last || moved.value > last.value || formatIP(moved) === gateway) {
    throw new ConflictError(
      `${text}, which the container ${container} requests, does not fit into ${subnet}; hint: choose a larger --subnet, or another --gateway`,
    );
  }
  return formatIP(moved);
}

function subnetOf(network: Network, family: 4 | 6): Subnet | undefined {
  return subnetsOf(network)
    .flatMap(({ subnet }) => parseCIDR(subnet)?.subnet ?? [])
    .find((subnet) => subnet.family === family);
}

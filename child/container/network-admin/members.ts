import type { AttachmentRequest } from '../../../protocol/containers/types.js';
import type { Network } from '../network/network.js';
import type { ContainerRecord } from '../storage/container-store.js';
import type { NetworkAdminDeps } from './deps.js';

/** The containers of this engine that request a network, whether they run or not. */
export function membersOf({ containers }: Pick<NetworkAdminDeps, 'containers'>, network: Network): ContainerRecord[] {
  return containers.store
    .all()
    .filter(({ request }) => attachmentsOf(request.network).some((entry) => entry.network === network.name));
}

function attachmentsOf(network: ContainerRecord['request']['network']): AttachmentRequest[] {
  return network.mode === 'networks' ? network.networks : [];
}

/** Names of the running containers of other OCI runtimes on a network, which their hooks have attached. */
export async function foreignMembersOf(deps: NetworkAdminDeps, network: Network): Promise<string[]> {
  const { containers, attacher, liveness } = deps;
  const names: string[] = [];
  for (const { id, name } of await attacher.on(network)) {
    if (!containers.store.get(id) && (await liveness.isLive(id))) names.push(name);
  }
  return names;
}

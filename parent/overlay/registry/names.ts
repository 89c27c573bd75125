/** This host's keys of names in the registry. */
import type { OverlayName } from '../../../protocol/overlay/types.js';
import type { Change, EtcdClient } from '../etcd/client.js';
import type { Picture } from '../etcd/follow.js';
import { keys } from './layout.js';

/** etcd allows 128 in a transaction unless configured otherwise. */
const MAX_CHANGES = 100;

/** What has to be changed so that the registry has these names of a host, and no others. */
export function nameChanges(
  picture: Picture,
  names: readonly OverlayName[],
  { prefix, host, lease }: { prefix: string; host: string; lease: string },
): Change[] {
  const at = keys(prefix);
  const wanted = new Map(names.map(({ name, addresses }) => [at.name(name, host), JSON.stringify({ a: addresses })]));
  const changes: Change[] = [];
  for (const [key, entry] of picture) {
    if (!key.startsWith(at.namesAll) || !key.endsWith(`/${host}`)) continue;
    if (!wanted.has(key)) changes.push({ delete: key });
    else if (entry.value === wanted.get(key) && entry.lease === lease) wanted.delete(key);
  }
  for (const [key, value] of wanted) changes.push({ put: key, value, lease });
  return changes;
}

/** Makes changes in as many transactions as they need. Throws what EtcdClient.transaction() throws. */
export async function inParts(client: EtcdClient, changes: readonly Change[]): Promise<void> {
  for (let at = 0; at < changes.length; at += MAX_CHANGES) {
    await client.transaction([], changes.slice(at, at + MAX_CHANGES));
  }
}

import type { OverlayMember } from '../../../protocol/overlay/types.js';
import type { EtcdClient } from '../etcd/client.js';
import type { Picture } from '../etcd/follow.js';
import { type Expelled, keys } from './layout.js';
import { inParts } from './names.js';
import { hostIn } from './share.js';

/** Removes a member, and records its keys, so that it cannot come back with them. Throws what EtcdClient.transaction() throws. */
export async function expelMember(
  { client, prefix }: { client: EtcdClient; prefix: string },
  picture: Picture,
  { host, name, publicKey, nextKey, subnets }: OverlayMember,
): Promise<void> {
  const at = keys(prefix);
  const record: Expelled = { host, name, keys: nextKey === undefined ? [publicKey] : [publicKey, nextKey] };
  const isOfHost = (key: string, value: string) =>
    key === at.subnet(subnets) ||
    (key.startsWith(at.subnets) && hostIn(value) === host) ||
    (key.startsWith(at.namesAll) && key.endsWith(`/${host}`));
  const found = [...picture].filter(([key, { value }]) => isOfHost(key, value)).map(([key]) => key);
  // Shares before names, in the transaction of the record.
  const removed = [
    at.alive(host),
    ...found.sort((a, b) => Number(b.startsWith(at.subnets)) - Number(a.startsWith(at.subnets))),
  ];
  await inParts(client, [
    { put: at.expelled(host), value: JSON.stringify(record) },
    ...removed.map((key) => ({ delete: key })),
  ]);
}

import { EtcdClient, type EtcdOptions } from '../etcd/client.js';
import { keys, parseConfig } from './layout.js';

/** Removes all keys of a network that was made by us, members and all; those of a flannel network stay. */
export async function clearRegistry({ prefix, ...options }: EtcdOptions & { prefix: string }): Promise<void> {
  const client = new EtcdClient(options);
  try {
    const at = keys(prefix);
    const config = await client.get(at.config);
    if (!config || !parseConfig(config.value)?.own) return;
    const unchanged = { key: at.config, modRevision: config.modRevision };
    await client.transaction([unchanged], [{ delete: at.all, prefix: true }]);
  } finally {
    client.close();
  }
}

// Members of an overlay network by its registry alone: without a stack, a port and a device.
import { randomUUID } from 'node:crypto';
import { EtcdClient, type EtcdOptions } from '../../../parent/overlay/etcd/client.js';
import type { Announcement } from '../../../parent/overlay/membership.js';
import { formatConfig, keys, parseConfig } from '../../../parent/overlay/registry/layout.js';
import { RegistryMembership } from '../../../parent/overlay/registry/membership.js';
import { OverlayStore } from '../../../parent/overlay/store.js';
import { generateKeys } from '../../../protocol/wireguard/keys.js';
import { tempDir } from '../temp-dir.js';

export interface TestMember extends AsyncDisposable {
  readonly host: string;
  readonly membership: RegistryMembership;
  readonly store: OverlayStore;
  readonly self: Announcement;
  readonly warnings: string[];
  /** Calls back at each change. */
  onChange: () => void;
  /** As kill -9: etcd gets to know nothing. */
  kill(): Promise<void>;
}

export interface MemberOptions {
  etcd: EtcdOptions;
  prefix: string;
  name: string;
  /** Files and identity of an earlier one. */
  of?: { host: string; store: OverlayStore };
}

/** The configuration of a network. */
export async function makeRegistry(client: EtcdClient, prefix: string, networks = ['10.50.0.0/16']): Promise<void> {
  await client.transaction([], [{ put: keys(prefix).config, value: formatConfig('back', networks, false) }]);
}

/** Not announced yet. */
export async function makeMember({ etcd, prefix, name, of }: MemberOptions): Promise<TestMember> {
  const client = new EtcdClient(etcd);
  const config = parseConfig((await client.get(keys(prefix).config))?.value ?? '');
  if (!config) throw new Error(`no configuration at ${prefix}`);
  const store = of?.store ?? new OverlayStore(tempDir(), 'back');
  const host = of?.host ?? randomUUID();
  const warnings: string[] = [];
  const member: TestMember = {
    host,
    store,
    warnings,
    onChange: () => {},
    async kill() {
      client.close();
      await member.membership.close();
    },
    self: { host, name, publicKey: generateKeys().publicKey, address: '192.0.2.1', port: 51820 },
    membership: new RegistryMembership({
      ...{ client, prefix, config, store, host },
      changed: () => member.onChange(),
      warn: (line) => warnings.push(line),
    }),
    [Symbol.asyncDispose]: () => member.membership.close(),
  };
  return member;
}

/** Announced: it has a subnet. */
export async function startMember(options: MemberOptions): Promise<TestMember> {
  const member = await makeMember(options);
  await member.membership.announce(member.self);
  return member;
}

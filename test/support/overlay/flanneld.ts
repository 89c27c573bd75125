// A flanneld as far as the registry is concerned: what it accepts there, and what it writes, by the rules of its source
// (pkg/subnet, pkg/lease, pkg/backend/wireguard). It is stricter than a decoder would have to be, so that a test fails
// where a real one would skip an entry.
import assert from 'node:assert/strict';
import { isIPv4, isIPv6 } from 'node:net';
import type { EtcdClient } from '../../../parent/overlay/etcd/client.js';
import { generateKeys } from '../../../protocol/wireguard/keys.js';

const DAY = 24 * 3600;

/** A peer as it sets it up. */
export interface FlannelPeer {
  publicKey: string;
  endpoint: string;
  subnets: string[];
}

export interface FakeFlanneld {
  readonly publicKey: string;
  readonly key: string;
  /** The peers that it has, by their keys in etcd; fails for an entry that it would not understand. */
  peers(): Promise<FlannelPeer[]>;
  /** As once a day: the lease is renewed by a new one. */
  renew(): Promise<void>;
}

/** ParseConfig() and CheckNetworkConfig(). */
function readConfig(text: string) {
  const config = JSON.parse(text) as Record<string, unknown>;
  const { Network, SubnetLen, Backend, EnableIPv4 = true, EnableIPv6 = false, IPv6Network, IPv6SubnetLen } = config;
  assert.equal(EnableIPv4, true);
  const [, ip = '', length = ''] = /^([\d.]+)\/(\d+)$/.exec(String(Network)) ?? [];
  assert(isIPv4(ip), `Network ${String(Network)}`);
  assert(Number(SubnetLen) <= 30 && Number(SubnetLen) >= Number(length) + 2, `SubnetLen ${String(SubnetLen)}`);
  if (EnableIPv6) {
    const [, ip6 = '', length6 = ''] = /^([\da-f:]+)\/(\d+)$/.exec(String(IPv6Network)) ?? [];
    assert(isIPv6(ip6), `IPv6Network ${String(IPv6Network)}`);
    assert(Number(IPv6SubnetLen) <= 126 && Number(IPv6SubnetLen) >= Number(length6) + 2);
  }
  const { Type, Mode = 'separate', ListenPort = 51820 } = Backend as Record<string, unknown>;
  assert.equal(Type, 'wireguard');
  assert(['auto', 'ipv4', 'ipv6', 'separate'].includes(String(Mode)), `Mode ${String(Mode)}`);
  return { port: Number(ListenPort), isDual: EnableIPv6 === true };
}

/** ParseSubnetKey(). */
function readKey(key: string): string[] {
  const [, ip = '', length = '', ip6, length6 = ''] =
    /(\d+\.\d+.\d+.\d+)-(\d+)(?:&([a-f\d:]+)-(\d+))?$/.exec(key) ?? assert.fail(`the key ${key}`);
  assert(isIPv4(ip) && Number(length) < 32, key);
  if (ip6 === undefined) return [`${ip}/${length}`];
  assert(isIPv6(ip6) && Number(length6) < 128, key);
  return [`${ip}/${length}`, `${ip6}/${length6}`];
}

/** Go's decoder of LeaseAttrs, which fails for a field of another type, and of the attributes of its backend. */
function readAttributes(text: string) {
  const { PublicIP, PublicIPv6, BackendType, BackendData, BackendV6Data } = JSON.parse(text) as Record<string, unknown>;
  assert(typeof PublicIP === 'string' && isIPv4(PublicIP), `PublicIP ${String(PublicIP)}`);
  assert(
    PublicIPv6 === null || PublicIPv6 === undefined || isIPv6(String(PublicIPv6)),
    `PublicIPv6 ${String(PublicIPv6)}`,
  );
  assert.equal(BackendType, 'wireguard');
  const backend = (data: unknown) => {
    const { PublicKey, Port = 0 } = data as Record<string, unknown>;
    assert.equal(Buffer.from(String(PublicKey), 'base64').length, 32);
    assert(Number.isInteger(Port) && Number(Port) >= 0 && Number(Port) <= 0xffff, `Port ${String(Port)}`);
    return { publicKey: String(PublicKey), port: Number(Port) };
  };
  return {
    ip: PublicIP,
    v4: backend(BackendData),
    v6: BackendV6Data === undefined ? undefined : backend(BackendV6Data),
  };
}

/** Joins as it does: with the first subnets that no other host has, on a lease of a day. */
export async function startFlanneld(client: EtcdClient, prefix: string, publicIp: string): Promise<FakeFlanneld> {
  const config = readConfig((await client.get(`${prefix}/config`))?.value ?? assert.fail('no config'));
  const start = `${prefix}/subnets`;
  const used = new Set((await client.list(start)).entries.map(({ key }) => readKey(key)[0]));
  const number =
    Array.from({ length: 254 }, (_, index) => index + 1).find((one) => !used.has(`10.50.${one}.0/24`)) ?? 0;
  const key = `${start}/10.50.${number}.0-24${config.isDual ? `&fd50:0:0:${number.toString(16)}::-64` : ''}`;
  const { publicKey } = generateKeys();
  const data = { PublicKey: publicKey, Port: config.port };
  const value = JSON.stringify({
    ...{ PublicIP: publicIp, PublicIPv6: null, BackendType: 'wireguard', BackendData: data },
    ...(config.isDual && { BackendV6Data: { ...data, Port: 51821 } }),
  });
  const put = { put: key, value };
  const isFree = await client.transaction([{ key, version: '0' }], [{ ...put, lease: await client.grant(DAY) }]);
  assert(isFree, `${key} is taken`);
  return {
    publicKey,
    key,
    async peers() {
      const { entries } = await client.list(start);
      return entries
        .filter((entry) => entry.key !== key)
        .map((entry) => {
          // It asks for the time that is left, and skips what is on no lease.
          assert.notEqual(entry.lease, '0');
          const { ip, v4, v6 } = readAttributes(entry.value);
          const port = v4.port === 0 ? config.port : v4.port;
          return { publicKey: (v6 ?? v4).publicKey, endpoint: `${ip}:${port}`, subnets: readKey(entry.key) };
        });
    },
    async renew() {
      await client.transaction([], [{ ...put, lease: await client.grant(DAY) }]);
    },
  };
}

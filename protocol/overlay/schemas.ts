/** Validates what comes from elsewhere: tokens, files, requests, and what the agent reports. */
import { isIP } from 'node:net';
import * as z from 'zod';
import { parseCIDR } from '../net/cidr.js';
import { isKey } from '../wireguard/keys.js';

/** Most members of one network. */
export const MAX_MEMBERS = 1024;
/** Most names of one member, and addresses of one name. */
export const MAX_NAMES = 4096;
const MAX_ADDRESSES = 64;

const address = z.string().refine((text) => isIP(text) !== 0 && !text.includes('%'), { error: 'not an address' });
export const subnet = z.string().refine((text) => parseCIDR(text) !== undefined, { error: 'not a subnet' });
const port = z.int().min(1).max(65_535);
export const wireGuardKey = z.string().refine(isKey, { error: 'not a WireGuard key' });
export const hostId = z.uuid();
/** Of a machine: shown to people, and a part of no path. */
export const hostName = z.string().regex(/^[\w.-]{1,64}$/, { error: 'not a name of a host' });
/** Of this package, as another host reports it. */
export const version = z.string().regex(/^[\w.+~-]{1,64}$/, { error: 'not a version' });
/** As of networks; it is a part of paths and keys. */
export const networkName = z
  .string()
  .regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$/, { error: 'letters, digits, "_", "." and "-" are allowed, 64 at most' });

export const member = z.object({
  host: hostId,
  name: hostName,
  publicKey: wireGuardKey,
  nextKey: wireGuardKey.optional(),
  address,
  port,
  subnets: z.array(subnet).min(1).max(2),
});

/** Of containers: as in DNS. */
export const containerName = z
  .string()
  .max(253)
  .regex(/^[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*$/);

/** The same for other hosts, one label: with dots a host could answer for names of the Internet on all others. */
export const memberName = containerName.refine((name) => !name.includes('.') && name !== 'localhost');

export const names = z
  .array(z.object({ name: memberName, addresses: z.array(address).min(1).max(MAX_ADDRESSES) }))
  .max(MAX_NAMES);

export const memberNames = z.object({ host: hostId, names });

export const staticToken = z.object({
  kind: z.literal('static'),
  name: networkName,
  networks: z.array(subnet).min(1).max(2),
  internal: z.boolean(),
  presharedKey: wireGuardKey,
  members: z.array(member).min(1).max(MAX_MEMBERS),
});

export const endpoint = z
  .string()
  .max(256)
  .refine((text) => URL.canParse(text) && ['http:', 'https:'].includes(new URL(text).protocol), {
    error: 'not a URL such as https://etcd1:2379',
  });

export const etcdPrefix = z.string().regex(/^(\/[\w.-]+)+$/, { error: 'expected a path such as /coreos.com/network' });

export const etcdToken = z.object({
  kind: z.literal('etcd'),
  name: networkName,
  endpoints: z.array(endpoint).min(1).max(16),
  prefix: etcdPrefix,
  /** In PEM; public. */
  ca: z.string().max(32_768).optional(),
  presharedKey: wireGuardKey.optional(),
});

const file = z.string().startsWith('/').max(4096);

export const request = z.strictObject({
  name: networkName.optional(),
  token: z.string().max(262_144).optional(),
  static: z.boolean().optional(),
  networks: z.array(subnet).max(2).optional(),
  internal: z.boolean().optional(),
  address: address.optional(),
  port: port.optional(),
  hostName: hostName.optional(),
  etcd: z
    .strictObject({
      endpoints: z.array(endpoint).max(16).optional(),
      prefix: etcdPrefix.optional(),
      ca: file.optional(),
      cert: file.optional(),
      key: file.optional(),
      user: z.string().min(1).max(256).optional(),
      passwordFile: file.optional(),
    })
    .optional(),
});

export const overlayFailures = z.array(z.object({ network: networkName, problem: z.string().max(4096) })).max(64);

export const peerStatus = z.object({
  host: hostId,
  handshakeAge: z.number().min(0).optional(),
  bytesSent: z.number().min(0),
  bytesReceived: z.number().min(0),
  latency: z.number().min(0).optional(),
  version: version.optional(),
});

/**
 * Checks of what clients send of containers and networks. Import this module only where a body is read: zod takes longer
 * to load than the rest.
 */

import { isIP, isIPv4, isIPv6 } from 'node:net';
import { isAbsolute } from 'node:path';
import * as z from 'zod';
import type { ContainerRequest, ExecRequest, NetworkRequest } from './containers.js';

/** A request that cannot be meant; the message is one line and complete. */
export class ContainerRequestError extends Error {
  override name = 'ContainerRequestError';
}

/** As Docker names containers and networks; also a CNI name, and a file name. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/;
/** RFC 1123, one or more labels. */
const HOSTNAME = /^(?=.{1,64}$)[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*$/;
/** Of a host in /etc/hosts: what is no host name by the RFC, as db_1, is common there. */
const HOST = /^[a-zA-Z0-9_]([a-zA-Z0-9_.-]{0,252}[a-zA-Z0-9_])?$/;
const MAC = /^(?!00(:00){5}$)[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/;

const quote = (value: unknown): string => JSON.stringify(value)?.slice(0, 100) ?? 'nothing';
const check = (test: (text: string) => boolean, expected: string) =>
  z.string().refine(test, { error: (issue) => `${quote(issue.input)} is not ${expected}` });

const name = check(
  (text) => NAME.test(text),
  'a name: letters, digits, _ . - are allowed, with a letter or digit first, 128 at most',
);
const hostname = check((text) => HOSTNAME.test(text), 'a host name (letters, digits, dots and dashes, 64 at most)');
const host = check((text) => HOST.test(text), 'the name of a host (letters, digits, _ . and -)');
const absolute = check((text) => isAbsolute(text) && !text.includes('\0'), 'an absolute path');
const ip = check((text) => isIP(text) !== 0, 'an IP address');
const environment = check((text) => /^[^=\0]+=[^\0]*$/.test(text), 'of the form NAME=value');
const word = z.string().refine((text) => !text.includes('\0'), { error: 'has a NUL in it' });
const user = check((text) => /^\d{1,9}(:\d{1,9})?$/.test(text), 'a user: uid or uid:gid, as numbers');
const labels = z.record(z.string().min(1), z.string());

const attachment = z.object({
  network: name,
  ip: check(isIPv4, 'an IPv4 address').optional(),
  ip6: check(isIPv6, 'an IPv6 address').optional(),
  mac: check(
    (text) => MAC.test(text) && (Number.parseInt(text.slice(0, 2), 16) & 1) === 0,
    'a unicast MAC address',
  ).optional(),
  aliases: z.array(host).optional(),
});

const network = z.discriminatedUnion('mode', [
  z.object({ mode: z.literal('networks'), networks: z.array(attachment).max(16) }),
  z.object({ mode: z.literal('host') }),
  z.object({ mode: z.literal('none') }),
  z.object({ mode: z.literal('container'), container: name }),
  z.object({ mode: z.literal('ns'), path: absolute }),
]);

const port = z.int().min(0).max(65_535);
const publish = z.object({
  hostIP: check(
    (text) => text === '' || (isIP(text) !== 0 && !text.includes('%')),
    'an IP address without a zone, or empty for all',
  ),
  hostPort: port,
  hostPortEnd: port.optional(),
  containerPort: port.min(1),
  protocol: z.enum(['tcp', 'udp']),
});

const container = z.object({
  name: name.optional(),
  rootfs: absolute.optional(),
  bundle: absolute.optional(),
  command: z.array(word).min(1, { error: 'the command is empty' }).optional(),
  env: z.array(environment).default([]),
  cwd: absolute.optional(),
  user: user.optional(),
  hostname: hostname.optional(),
  domainname: hostname.optional(),
  tty: z.boolean().default(false),
  stdin: z.boolean().default(false),
  readOnly: z.boolean().default(false),
  mounts: z
    .array(
      check((text) => /^\/[^:\0]*:\/[^:\0]*(:r[ow])?$/.test(text), 'a mount: SOURCE:TARGET[:ro], with absolute paths'),
    )
    .default([]),
  network: network.default({ mode: 'networks', networks: [] }),
  publish: z.array(publish).max(20_000).default([]),
  dns: z.array(ip).default([]),
  dnsSearch: z.array(word).default([]),
  dnsOptions: z.array(word).default([]),
  addHosts: z
    .array(
      z.object({
        host,
        ip: check((text) => text === 'host-gateway' || isIP(text) !== 0, 'an IP address or host-gateway'),
      }),
    )
    .default([]),
  labels: labels.default({}),
  runtime: word.min(1).default('runc'),
  autoRemove: z.boolean().default(false),
});

const networkRequest = z.object({
  name,
  driver: z.string().default('bridge'),
  subnets: z.array(z.string()).default([]),
  gateways: z.array(ip).default([]),
  ipRanges: z.array(z.string()).default([]),
  auxAddresses: z
    .array(check((text) => /^[^=]+=/.test(text) && isIP(text.replace(/^[^=]+=/, '')) !== 0, 'of the form NAME=ADDRESS'))
    .default([]),
  ipv6: z.boolean().default(false),
  internal: z.boolean().default(false),
  icc: z.boolean().default(true),
  labels: labels.default({}),
  options: z.record(z.string(), z.string()).default({}),
  ipamDriver: z.string().default('default'),
});

const exec = z.object({
  command: z.array(word).min(1, { error: 'the command is empty' }),
  env: z.array(environment).default([]),
  cwd: absolute.optional(),
  user: user.optional(),
  tty: z.boolean().default(false),
  size: z.object({ columns: z.int().min(1).max(65_535), rows: z.int().min(1).max(65_535) }).optional(),
  stdin: z.boolean().default(false),
});

/** Throws ContainerRequestError. */
export function parseContainerRequest(value: unknown): ContainerRequest {
  const request: ContainerRequest = parse(container, value);
  if ((request.rootfs === undefined) === (request.bundle === undefined)) {
    throw new ContainerRequestError(
      'a container needs either a root file system (--rootfs) or an OCI bundle (--bundle)',
    );
  }
  if (request.rootfs !== undefined && request.command === undefined) {
    throw new ContainerRequestError('no command: name the program to run after --, or use --bundle');
  }
  checkNetworkOptions(request);
  return request;
}

/** Throws ContainerRequestError. */
export function parseNetworkRequest(value: unknown): NetworkRequest {
  return parse(networkRequest, value);
}

/** Throws ContainerRequestError. */
export function parseExecRequest(value: unknown): ExecRequest {
  return parse(exec, value);
}

/** Throws ContainerRequestError. */
export function parseAttachmentRequest(value: unknown): z.infer<typeof attachment> {
  return parse(attachment, value);
}

/** Throws ContainerRequestError. */
export function parseName(value: unknown): string {
  return parse(name, value);
}

/** Throws ContainerRequestError. */
export function parseHostname(value: unknown): string {
  return parse(hostname, value);
}

/** What cannot go together. */
function checkNetworkOptions({ network: asked, publish: ports, ...request }: ContainerRequest): void {
  const { mode } = asked;
  const refuse = (what: string) => {
    throw new ContainerRequestError(`${what} cannot go with --network=${mode}`);
  };
  if (ports.length > 0 && mode !== 'networks' && mode !== 'host') refuse('published ports (-p)');
  if (mode === 'container') {
    if (request.hostname !== undefined || request.domainname !== undefined) refuse('a host name of its own');
    if (request.dns.length + request.dnsSearch.length + request.dnsOptions.length > 0)
      refuse('resolvers of its own (--dns…)');
    if (request.addHosts.length > 0) refuse('hosts of its own (--add-host)');
  }
  if (asked.mode === 'networks') {
    const names = asked.networks.map((entry) => entry.network);
    const twice = names.find((entry, index) => names.indexOf(entry) !== index);
    if (twice !== undefined) throw new ContainerRequestError(`the network ${twice} is named twice`);
  }
}

function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const path = issue?.path.map(String).join('.') ?? '';
  throw new ContainerRequestError([path, issue?.message].filter((part) => part).join(': '));
}

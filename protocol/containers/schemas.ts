/**
 * Schemas of requests about containers and networks. Import this module only where a body is read: zod takes longer to load
 * than the rest.
 */

import { isIP, isIPv4, isIPv6 } from 'node:net';
import { isAbsolute } from 'node:path';
import * as z from 'zod';
import { containerRules } from '../egress/container-policy.js';
import { formatRateLimit, parseRateLimit } from '../egress/rate-limit.js';
import { ExpectedError } from '../errors/expected-error.js';
import { firstProblem, parsing, problemOf } from '../errors/schema-problems.js';
import { parseAutoPublish } from '../ports/auto.js';
import { isName } from '../text/names.js';
import { quote } from '../text/preview.js';
import { DEFAULT_LOG, LogTimeError, MAX_LOG_FILES, MAX_LOG_SIZE, parseLogTime } from './log-options.js';
import { optionFields } from './option-schemas.js';
import { sysctlNamespace } from './sysctls.js';
import {
  type ContainerRequest,
  type ExecRequest,
  type LogsRequest,
  MAX_NETWORKS,
  type NetworkRequest,
  type NetworkUpdate,
} from './types.js';

/** An invalid request; the message is one complete line. */
export class ContainerRequestError extends ExpectedError {
  override name = 'ContainerRequestError';
  override readonly code: string = 'invalid';
  override readonly httpStatus = 400;
  constructor(
    message: string,
    /** Path of the invalid value, such as `dns.0`; the message begins with it and a colon. */
    readonly field?: string,
  ) {
    super(message);
  }
}

/** Longest name of a container or network. */
const MAX_NAME = 128;
/** RFC 1123, one or more labels. */
const HOSTNAME = /^(?=.{1,64}$)[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*$/;
/** Names in /etc/hosts: names that the RFC does not allow, such as db_1, are common there. */
const HOST = /^[a-zA-Z0-9_]([a-zA-Z0-9_.-]{0,252}[a-zA-Z0-9_])?$/;
/** Interface names that the kernel accepts (dev_valid_name() in net/core/dev.c). */
const DEVICE = /^(?!\.{1,2}$)[^\s/:\0]{1,15}$/;
const MAC = /^(?!00(:00){5}$)[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/;

const check = (test: (text: string) => boolean, expected: string) =>
  z.string().refine(test, { error: (issue) => `${quote(issue.input)} is not ${expected}` });

const name = check(
  (text) => isName(text, MAX_NAME),
  'a name: letters, digits, _ . - are allowed, with a letter or digit first, 128 at most',
);
const hostname = check((text) => HOSTNAME.test(text), 'a host name (letters, digits, dots and dashes, 64 at most)');
const host = check((text) => HOST.test(text), 'the name of a host (letters, digits, _ . and -)');
const absolute = check((text) => isAbsolute(text) && !text.includes('\0'), 'an absolute path');
const ip = check((text) => isIP(text) !== 0, 'an IP address');
/** Lines of an egress file. */
const egressRules = z.array(z.string()).transform(parsing(containerRules));
const rateLimit = z.string().transform(parsing((text) => formatRateLimit(parseRateLimit(text, 'limit'))));
/** Bytes that are not UTF-8 are lone surrogates (argument-bytes.ts). */
const utf8 = z.string().refine((text) => !/\p{Surrogate}/u.test(text), {
  error: (issue) => `${quote(issue.input)} has bytes that are not UTF-8, which OCI runtimes cannot pass on`,
});
const environment = utf8.refine((text) => /^[^=\0]+=[^\0]*$/.test(text), {
  error: (issue) => `${quote(issue.input)} is not of the form NAME=value`,
});
const word = utf8.refine((text) => !text.includes('\0'), { error: 'has a NUL in it' });
const user = check(
  (text) => /^[a-zA-Z0-9_][^:,\s\0]{0,255}(:[a-zA-Z0-9_][^:,\s\0]{0,255})?$/.test(text),
  'a user: USER or USER:GROUP, by names or numbers',
);
const labels = z.record(z.string().min(1), z.string());

const attachment = z.strictObject({
  network: name,
  ip: check(isIPv4, 'an IPv4 address').optional(),
  ip6: check(isIPv6, 'an IPv6 address').optional(),
  mac: check(
    (text) => MAC.test(text) && (Number.parseInt(text.slice(0, 2), 16) & 1) === 0,
    'a unicast MAC address',
  ).optional(),
  aliases: z.array(host).optional(),
  interface: check(
    (text) => DEVICE.test(text) && text !== 'lo',
    'the name of a network interface, of 15 characters at most',
  ).optional(),
  gatewayPriority: z.int().optional(),
});

const network = z.discriminatedUnion(
  'mode',
  [
    z.strictObject({ mode: z.literal('networks'), networks: z.array(attachment).max(MAX_NETWORKS) }),
    z.strictObject({ mode: z.literal('host') }),
    z.strictObject({ mode: z.literal('none') }),
    z.strictObject({ mode: z.literal('container'), container: name }),
    z.strictObject({ mode: z.literal('ns'), path: absolute }),
  ],
  { error: 'expected an object whose mode is networks, host, none, container or ns' },
);

const LAST_PORT = 65_535;
/** Of one container; ranges count with all of their ports. */
const MAX_PORTS = 20_000;

const port = z.int().min(0).max(LAST_PORT);
const portMapping = z.strictObject({
  hostIP: check(
    (text) => text === '' || (isIP(text) !== 0 && !text.includes('%')),
    'an IP address without a zone, or empty for all',
  ),
  hostPort: port,
  hostPortEnd: port.optional(),
  containerPort: port.min(1),
  protocol: z.enum(['tcp', 'udp']),
  count: z.int().min(1).max(LAST_PORT).optional(),
});

const publish = z.array(portMapping).superRefine((ports, context) => {
  const wrong = (path: (string | number)[], message: string) => context.addIssue({ code: 'custom', path, message });
  for (const [index, { containerPort, count = 1, hostPort, hostPortEnd }] of ports.entries()) {
    const last = Math.max(containerPort, hostPort) + count - 1;
    if (last > LAST_PORT) wrong([index, 'count'], `port ${last} is too large, ${LAST_PORT} is the most`);
    if (hostPortEnd !== undefined && count > 1) wrong([index, 'count'], 'a range cannot have a hostPortEnd');
  }
  const total = ports.reduce((sum, { count = 1 }) => sum + count, 0);
  if (total > MAX_PORTS) wrong([], `${total} are too many, at most ${MAX_PORTS} can be given`);
});

function isAutoPublishText(text: string): boolean {
  try {
    parseAutoPublish(text);
    return true;
  } catch {
    return false;
  }
}

const containerFields = {
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
  ...optionFields,
  network: network.default({ mode: 'networks', networks: [] }),
  publish: publish.default([]),
  autoPublish: z.array(check(isAutoPublishText, 'of the form [ip:]auto[:port[-port]][/tcp|udp]')).max(16).default([]),
  dns: z.array(ip).default([]),
  dnsSearch: z.array(word).default([]),
  dnsOptions: z.array(word).default([]),
  addHosts: z
    .array(
      z.strictObject({
        host,
        ip: check((text) => text === 'host-gateway' || isIP(text) !== 0, 'an IP address or host-gateway'),
      }),
    )
    .default([]),
  egress: egressRules.default([]),
  limit: rateLimit.optional(),
  labels: labels.default({}),
  runtime: word.min(1).optional(),
  autoRemove: z.boolean().default(false),
  log: z
    .strictObject({ maxSize: z.int().min(1).max(MAX_LOG_SIZE), maxFiles: z.int().min(1).max(MAX_LOG_FILES) })
    .default(DEFAULT_LOG),
  seccomp: check(
    (text) => text === 'unconfined' || (isAbsolute(text) && !text.includes('\0')),
    'a seccomp profile: an absolute path, or "unconfined"',
  ).optional(),
  noNewPrivileges: z.boolean().default(false),
  pidsLimit: z
    .int()
    .refine((limit) => limit === -1 || limit > 0, {
      error: 'the limit of processes has to be at least 1, or -1 for none',
    })
    .optional(),
};
const container = z.strictObject(containerFields);
/** For records that another version may have written. */
const storedContainer = z.object(containerFields);

const networkRequest = z.strictObject({
  name,
  driver: z.string().default('bridge'),
  subnets: z.array(z.string()).default([]),
  gateways: z.array(ip).default([]),
  ipRanges: z.array(z.string()).default([]),
  auxAddresses: z
    .array(check((text) => /^[^=]+=/.test(text) && isIP(text.replace(/^[^=]+=/, '')) !== 0, 'of the form NAME=ADDRESS'))
    .default([]),
  ipv4: z.boolean().default(true),
  ipv6: z.boolean().default(false),
  force: z.boolean().default(false),
  internal: z.boolean().default(false),
  icc: z.boolean().default(true),
  egress: egressRules.default([]),
  labels: labels.default({}),
  options: z.record(z.string(), z.string()).default({}),
  ipamDriver: z.string().default('default'),
});

const networkUpdate = networkRequest
  .pick({ gateways: true, ipRanges: true, auxAddresses: true, force: true })
  .extend({ subnets: z.array(z.string()).min(1, { error: 'no subnet is given; hint: --subnet CIDR' }) });

const exec = z.strictObject({
  command: z.array(word).min(1, { error: 'the command is empty' }),
  env: z.array(environment).default([]),
  cwd: absolute.optional(),
  user: user.optional(),
  tty: z.boolean().default(false),
  size: z.strictObject({ columns: z.int().min(1).max(65_535), rows: z.int().min(1).max(65_535) }).optional(),
  stdin: z.boolean().default(false),
  detach: z.boolean().default(false),
});

const limitChange = z.strictObject({ limit: rateLimit });
const egressChange = z.strictObject({ rules: z.array(z.string()).min(1, { error: 'no rule is given' }) });

const flag = z
  .enum(['true', 'false'])
  .optional()
  .transform((text) => text === 'true');
const moment = z
  .string()
  .transform((text, context) => {
    try {
      return parseLogTime(text);
    } catch (error) {
      if (!(error instanceof LogTimeError)) throw error;
      context.addIssue(error.message);
      return z.NEVER;
    }
  })
  .optional();
const logs = z.object({
  follow: flag,
  since: moment,
  until: moment,
  tail: check((text) => /^(all|\d{1,9})$/.test(text), 'a number of lines, or "all"')
    .transform((text) => (text === 'all' ? undefined : Number(text)))
    .optional(),
  timestamps: flag,
});

/** By the names of their types: for the description of the API. */
export const requestSchemas = {
  AttachmentRequest: attachment,
  ContainerRequest: container,
  EgressChange: egressChange,
  ExecRequest: exec,
  LimitChange: limitChange,
  NetworkRequest: networkRequest,
  NetworkUpdate: networkUpdate,
};

/** Like parseContainerRequest(), for a recorded request. Throws ContainerRequestError. */
export function parseStoredContainer(value: unknown): ContainerRequest {
  return checkedContainer(parse(storedContainer, value));
}

/** Throws ContainerRequestError, also for unknown keys. */
export function parseContainerRequest(value: unknown): ContainerRequest {
  return checkedContainer(parse(container, value));
}

function checkedContainer(request: ContainerRequest): ContainerRequest {
  if ((request.rootfs === undefined) === (request.bundle === undefined)) {
    throw new ContainerRequestError(
      'a container needs either a root file system (--rootfs) or an OCI bundle (--bundle)',
    );
  }
  if (request.rootfs !== undefined && request.command === undefined) {
    throw new ContainerRequestError('no command: name the program to run after --, or use --bundle');
  }
  checkNetworkOptions(request);
  if (request.autoRemove && request.restart.policy !== 'no') {
    throw new ContainerRequestError(
      '--rm cannot be combined with --restart: a container that is removed is not started again',
    );
  }
  return request;
}

/** Throws ContainerRequestError. */
export function parseNetworkRequest(value: unknown): NetworkRequest {
  return parse(networkRequest, value);
}

/** Throws ContainerRequestError. */
export function parseNetworkUpdate(value: unknown): NetworkUpdate {
  return parse(networkUpdate, value);
}

/** A rate limit; throws ContainerRequestError. */
export function parseLimitChange(value: unknown): string {
  return parse(limitChange, value).limit;
}

/** Lines of an egress file; throws ContainerRequestError. */
export function parseEgressRules(value: unknown): string[] {
  return parse(egressChange, value).rules;
}

/** Throws ContainerRequestError. */
export function parseExecRequest(value: unknown): ExecRequest {
  return parse(exec, value);
}

/** @param query of a URL, as an object. Throws ContainerRequestError. */
export function parseLogsRequest(query: unknown): LogsRequest {
  return parse(logs, query);
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

/** Throws ContainerRequestError for options that exclude each other. */
function checkNetworkOptions({ network: asked, publish: ports, autoPublish, ...request }: ContainerRequest): void {
  const { mode } = asked;
  const refuse = (what: string) => {
    throw new ContainerRequestError(`${what} cannot be combined with --network=${mode}`);
  };
  if (ports.length > 0 && mode !== 'networks' && mode !== 'host') refuse('published ports (-p)');
  if (autoPublish.length > 0 && mode !== 'networks') refuse('-p auto');
  const setting = Object.keys(request.sysctls).find((key) => sysctlNamespace(key) === 'network');
  if (setting !== undefined && mode !== 'networks' && mode !== 'none') refuse(`the sysctl ${setting}`);
  if (mode === 'container') {
    if (request.hostname !== undefined || request.domainname !== undefined) refuse('its own host name (--hostname)');
    if (request.dns.length + request.dnsSearch.length + request.dnsOptions.length > 0)
      refuse('its own DNS servers (--dns…)');
    if (request.addHosts.length > 0) refuse('its own hosts (--add-host)');
  }
  if (asked.mode === 'networks') {
    const names = asked.networks.map((entry) => entry.network);
    const twice = names.find((entry, index) => names.indexOf(entry) !== index);
    if (twice !== undefined) throw new ContainerRequestError(`the network ${twice} is named twice`);
    const devices = asked.networks.flatMap((entry) => entry.interface ?? []);
    const same = devices.find((entry, index) => devices.indexOf(entry) !== index);
    if (same !== undefined) throw new ContainerRequestError(`the interface ${same} is named twice`);
  }
}

function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value, { error: problemOf });
  if (parsed.success) return parsed.data;
  const { message, field } = firstProblem(parsed.error);
  throw new ContainerRequestError(message, field);
}

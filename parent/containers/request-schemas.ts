/** Validates requests of the agent, which is not trusted: it runs inside the namespaces. */
import { isIP } from 'node:net';
import * as z from 'zod';
import { MAX_CONTAINER_RULES } from '../../protocol/egress/container-policy.js';
import { firstProblem } from '../../protocol/errors/schema-problems.js';
import { names, networkName } from '../../protocol/overlay/schemas.js';
import { ContainersError } from '../errors.js';
import { publishedNames, queryReports } from './report-schemas.js';

/** Ports of one container, as many as its request may have. */
const MAX_PORTS = 20_000;

const owner = z.string().min(1).max(256);
const address = z.string().refine((text) => text === '' || isIP(text) !== 0);
const port = z.int().min(0).max(65_535);

const reservation = z.object({
  owner,
  ranges: z
    .array(
      z
        .object({
          protocol: z.enum(['tcp', 'udp']),
          hostIP: address,
          hostPort: port,
          hostPortEnd: port.optional(),
          containerPort: port.min(1),
          count: z.int().min(1).max(MAX_PORTS).default(1),
        })
        .refine((range) => range.containerPort + range.count - 1 <= 65_535)
        // Either consecutive ports, or the first free one.
        .refine((range) => range.hostPort + range.count - 1 <= (range.hostPortEnd ?? 65_535))
        .refine((range) => range.hostPortEnd === undefined || (range.count === 1 && range.hostPort > 0)),
    )
    .max(1000)
    .refine((ranges) => ranges.reduce((sum, { count }) => sum + count, 0) <= MAX_PORTS, {
      error: `more than ${MAX_PORTS} ports`,
    }),
});

/** Throws ContainersError. */
export const parseReservation = (value: unknown) => parse(reservation, value);

/** Throws ContainersError. */
export const parseActivation = (value: unknown) => parse(z.object({ owner, childIP: address }), value);

const autoPorts = z.object({
  owner,
  name: z.string().max(256),
  childIP: address,
  rules: z.array(z.string().max(256)).min(1).max(16),
});

/** Throws ContainersError. */
export const parseAutoPorts = (value: unknown) => parse(autoPorts, value);

/** Throws ContainersError. */
export const parseOwner = (value: unknown) => parse(z.object({ owner }), value);

const key = z.string().min(1).max(512);
const ip = z.string().refine((text) => isIP(text) !== 0);
/** One for each network, and the container's own. */
const MAX_KEYS = 17;
/** Of both families on each network. */
const MAX_ADDRESSES = 64;

const policy = z.object({ key, rules: z.array(z.string().max(1024)).max(MAX_CONTAINER_RULES) });

/** Throws ContainersError. */
export const parsePolicy = (value: unknown) => parse(policy, value);

/** Throws ContainersError. */
export const parsePolicyOf = (value: unknown) => parse(z.object({ id: owner, key }), value);

const policed = z.object({
  id: owner,
  name: z.string().max(256),
  addresses: z.array(ip).max(MAX_ADDRESSES),
  policies: z.array(key).min(1).max(MAX_KEYS),
  limit: z.string().max(100).optional(),
});

/** Throws ContainersError. */
export const parsePolicedContainer = (value: unknown) => parse(policed, value);

const survivors = z.object({
  survivors: z.array(z.object({ pid: z.int().positive(), startTime: z.string().regex(/^\d{1,20}$/) })).max(1000),
});

/** Throws ContainersError. */
export const parseSurvivors = (value: unknown) => parse(survivors, value);

/** Throws ContainersError. */
export const parseOverlayNames = (value: unknown) => parse(z.object({ network: networkName, names }), value);

/** Throws ContainersError. */
export const parsePublishedNames = (value: unknown) => parse(publishedNames, value);

/** Throws ContainersError. */
export const parseQueryReports = (value: unknown) => parse(queryReports, value);

function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const { success, data, error } = schema.safeParse(value);
  if (success) return data;
  throw new ContainersError(`invalid request of the agent: ${firstProblem(error).message}`);
}

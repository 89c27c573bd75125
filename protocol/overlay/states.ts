/** Validates what the agent gets: not for lack of trust in the parent, but since other processes inside reach its socket, too. */
import * as z from 'zod';
import { ExpectedError } from '../errors/expected-error.js';
import { firstProblem } from '../errors/schema-problems.js';
import { hostId, MAX_MEMBERS, member, memberNames, networkName, subnet, wireGuardKey } from './schemas.js';
import type { OverlayState } from './types.js';

const states = z
  .array(
    z.object({
      network: networkName,
      networks: z.array(subnet).min(1).max(2),
      internal: z.boolean(),
      host: hostId,
      hostName: z.string().max(64),
      subnets: z.array(subnet).min(1).max(2),
      privateKey: wireGuardKey,
      presharedKey: wireGuardKey.optional(),
      port: member.shape.port,
      mtu: z.int().min(1280).max(65_535),
      peers: z.array(member).max(MAX_MEMBERS),
      names: z.array(memberNames).max(MAX_MEMBERS),
      exchangeNames: z.boolean(),
      problem: z.string().max(4096).optional(),
    }),
  )
  .max(64);

class OverlayStateError extends ExpectedError {
  override name = 'OverlayStateError';
  override readonly code = 'invalid';
  override readonly httpStatus = 400;
}

/** Throws OverlayStateError. */
export function parseOverlayStates(value: unknown): OverlayState[] {
  const { data, error } = states.safeParse(value);
  if (data) return data;
  throw new OverlayStateError(`invalid overlay networks: ${firstProblem(error).message}`);
}

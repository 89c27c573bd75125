/** Checks of what the agent asks for: it may be somebody else by now. */
import { isIP } from 'node:net';
import { z } from 'zod';
import { ContainersError } from '../errors.js';

/** The engine has one port for each; the messages about them have to fit a packet. */
const MAX_RANGES = 1000;

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
          count: z.int().min(1).max(65_535),
        })
        .refine(
          (range) => range.hostPort + range.count - 1 <= 65_535 && range.containerPort + range.count - 1 <= 65_535,
        ),
    )
    .max(MAX_RANGES, {
      error: `too many published ports; a container can have ${MAX_RANGES}, where consecutive ones count as one`,
    }),
});

/** Throws ContainersError. */
export const parseReservation = (value: unknown) => parse(reservation, value);

/** Throws ContainersError. */
export const parseActivation = (value: unknown) => parse(z.object({ owner, childIP: address }), value);

/** Throws ContainersError. */
export const parseOwner = (value: unknown) => parse(z.object({ owner }), value);

function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  // What users can cause has words of its own.
  if (issue?.code === 'too_big') throw new ContainersError(issue.message);
  throw new ContainersError(`the agent asked for what cannot be: ${issue?.path.map(String).join('.')}`);
}

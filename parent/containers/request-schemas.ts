/** Checks of what the agent asks for: it may be somebody else by now. */
import { isIP } from 'node:net';
import * as z from 'zod';
import { ContainersError } from '../errors.js';

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
    .max(1000),
});

/** Throws ContainersError. */
export const parseReservation = (value: unknown) => parse(reservation, value);

/** Throws ContainersError. */
export const parseActivation = (value: unknown) => parse(z.object({ owner, childIP: address }), value);

/** Throws ContainersError. */
export const parseOwner = (value: unknown) => parse(z.object({ owner }), value);

/** In one line, which zod's messages are not. */
function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const { data, error } = schema.safeParse(value);
  if (data !== undefined) return data;
  const issue = error?.issues[0];
  throw new ContainersError(
    `the agent asked for what cannot be: ${issue?.path.map(String).join('.')}: ${issue?.message}`,
  );
}

/** Checks of what the agent asks for: it may be somebody else by now. */
import { isIP } from 'node:net';
import * as z from 'zod';

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

/** Throws zod's error. */
export const parseReservation = (value: unknown) => reservation.parse(value);

/** Throws zod's error. */
export const parseActivation = (value: unknown) => z.object({ owner, childIP: address }).parse(value);

/** Throws zod's error. */
export const parseOwner = (value: unknown) => z.object({ owner }).parse(value);

/** The first message of a stream of `GET /v1/programs`. */
import { isAbsolute } from 'node:path';
import * as z from 'zod';
import { firstProblem, problemOf } from '../../../protocol/errors/schema-problems.js';
import { RequestBodyError } from '../request-body.js';

const word = z.string().refine((text) => !text.includes('\0'), { error: 'has a NUL in it' });

export const programRequest = z.strictObject({
  /** The program and its arguments. */
  command: z.array(word).min(1, { error: 'the command is empty' }),
  /** Absolute; that of the stack where absent. */
  cwd: z.string().refine(isAbsolute, { error: 'it is not an absolute path' }).optional(),
  /** Variables beside those of the stack; null removes one. */
  env: z
    .record(z.string().regex(/^[^=\0]+$/, { error: 'it is not the name of a variable' }), word.nullable())
    .default({}),
  /** Whether the environment has nothing but `env`. */
  onlyEnv: z.boolean().default(false),
});

/** Throws RequestBodyError. */
export function parseProgramRequest(text: string): z.infer<typeof programRequest> {
  const { data, error } = programRequest.safeParse(parseJSON(text), { error: problemOf });
  if (data) return data;
  throw new RequestBodyError(400, firstProblem(error).message);
}

function parseJSON(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new RequestBodyError(400, 'the first message is not JSON');
  }
}

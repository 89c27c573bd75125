import * as z from 'zod';
import { PortSpecError, validatePortSpec } from './port-spec.js';
import type { PortSpec } from './ports.js';

/**
 * Body of `POST /v1/ports`, read as generously as RootlessKit reads it: unknown fields are ignored, null and missing
 * fields count as their zero value, and the names of fields may be written in any case.
 *
 * Import this module only where a body is read: zod takes longer to load than the rest of the API server.
 */

/** How much of a wrong value a message shows. */
const MAX_PREVIEW = 100;

const not = (expected: string) => (issue: { input?: unknown }) => `${preview(issue.input)} is not ${expected}`;

const text = z
  .string({ error: not('a string') })
  .nullish()
  .transform((value) => value ?? '');
const number = z
  .int({ error: not('a whole number') })
  .nullish()
  .transform((value) => value ?? 0);

const PORT_SPEC_SCHEMA = z.preprocess(
  withKnownNames,
  z.object(
    {
      proto: text,
      parentIP: text,
      parentPort: number,
      childPort: number,
      childIP: text,
      proxyProtocol: z.union([z.literal(1), z.literal(2)], { error: not('1 or 2') }).nullish(),
    },
    { error: not('an object with proto, parentPort and childPort') },
  ),
);

const FIELD_BY_LOWER_CASE = new Map(
  ['proto', 'parentIP', 'parentPort', 'childPort', 'childIP', 'proxyProtocol'].map((name) => [
    name.toLowerCase(),
    name,
  ]),
);

/**
 * The spec that a client sent, checked, with absent addresses left out and present ones as they were written.
 * @throws PortSpecError
 */
export function parsePortSpecJSON(value: unknown): PortSpec {
  const parsed = PORT_SPEC_SCHEMA.safeParse(value);
  if (!parsed.success) throw new PortSpecError('', describe(parsed.error));
  const { proto, parentIP, parentPort, childPort, childIP, proxyProtocol } = parsed.data;
  const spec: PortSpec = {
    proto,
    ...(parentIP && { parentIP }),
    parentPort,
    childPort,
    ...(childIP && { childIP }),
    ...(proxyProtocol && { proxyProtocol }),
  };
  validatePortSpec(spec);
  return spec;
}

function withKnownNames(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value).map(([name, field]): [string, unknown] => [
    FIELD_BY_LOWER_CASE.get(name.toLowerCase()) ?? name,
    field,
  ]);
  return Object.fromEntries(entries);
}

/** The first thing that is wrong, on one line: `parentPort "8080" is not a whole number`. */
function describe(error: z.ZodError): string {
  const issue = error.issues[0];
  if (!issue) return 'not a port spec';
  return [...issue.path.map(String), issue.message].join(' ');
}

function preview(value: unknown): string {
  const json = JSON.stringify(value) ?? 'undefined';
  return json.length > MAX_PREVIEW ? `${json.slice(0, MAX_PREVIEW)}…` : json;
}

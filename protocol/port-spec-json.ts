import { PortSpecError, validatePortSpec } from './port-spec.js';
import type { PortSpec } from './ports.js';

/**
 * Body of `POST /v1/ports`, read as generously as RootlessKit reads it: unknown fields are ignored, null and missing
 * fields count as their zero value, and the names of fields may be written in any case.
 *
 * It is read by hand: loading zod for these six fields, and having it check the first thousand ports, takes longer than all
 * else that publishes them.
 */

/** How much of a wrong value a message shows. */
const MAX_PREVIEW = 100;

const FIELDS = ['proto', 'parentIP', 'parentPort', 'childPort', 'childIP', 'proxyProtocol'] as const;
type Field = (typeof FIELDS)[number];
type Fields = Partial<Record<Field, unknown>>;

const FIELD_BY_LOWER_CASE = new Map(FIELDS.map((name) => [name.toLowerCase(), name]));

/**
 * The spec that a client sent, checked, with absent addresses left out and present ones as they were written.
 * @throws PortSpecError
 */
export function parsePortSpecJSON(value: unknown): PortSpec {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new PortSpecError('', `${preview(value)} is not an object with proto, parentPort and childPort`);
  }
  const fields: Fields = {};
  for (const [name, field] of Object.entries(value)) {
    const known = FIELD_BY_LOWER_CASE.get(name.toLowerCase());
    if (known !== undefined) fields[known] = field;
  }
  const proto = textOf(fields, 'proto');
  const parentIP = textOf(fields, 'parentIP');
  const parentPort = numberOf(fields, 'parentPort');
  const childPort = numberOf(fields, 'childPort');
  const childIP = textOf(fields, 'childIP');
  const proxyProtocol = fields.proxyProtocol ?? undefined;
  if (proxyProtocol !== undefined && proxyProtocol !== 1 && proxyProtocol !== 2)
    throw wrong(fields, 'proxyProtocol', '1 or 2');
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

function textOf(fields: Fields, name: Field): string {
  const value = fields[name] ?? '';
  if (typeof value !== 'string') throw wrong(fields, name, 'a string');
  return value;
}

function numberOf(fields: Fields, name: Field): number {
  const value = fields[name] ?? 0;
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw wrong(fields, name, 'a whole number');
  return value;
}

/** On one line: `parentPort "8080" is not a whole number`. */
function wrong(fields: Fields, name: Field, expected: string): PortSpecError {
  return new PortSpecError('', `${name} ${preview(fields[name])} is not ${expected}`);
}

function preview(value: unknown): string {
  const json = JSON.stringify(value) ?? 'undefined';
  return json.length > MAX_PREVIEW ? `${json.slice(0, MAX_PREVIEW)}…` : json;
}

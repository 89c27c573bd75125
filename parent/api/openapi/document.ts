/**
 * The description of the API in the format of OpenAPI 3.1, whose schemas are JSON Schema: made of the schemas by which requests
 * are validated, and of those for answers, which tests hold against real ones. Loaded on demand, since zod takes long to load.
 */
import * as z from 'zod';
import { API_VERSION } from '../../../protocol/api/types.js';
import { requestSchemas } from '../../../protocol/containers/schemas.js';
import { request as overlayRequest } from '../../../protocol/overlay/schemas.js';
import { programRequest } from '../programs/request.js';
import { containerOperations } from './container-operations.js';
import type { Operation, Parameter } from './operation.js';
import * as containerSchemas from './schemas/containers.js';
import * as stackSchemas from './schemas/stack.js';
import { stackOperations } from './stack-operations.js';

type JSONObject = Record<string, unknown>;

/** In the order in which their examples can be sent. */
export const operations: readonly Operation[] = [...stackOperations, ...containerOperations];

const REQUESTS = { ...requestSchemas, OverlayRequest: overlayRequest, ProgramRequest: programRequest };
const ANSWERS = { ...stackSchemas, ...containerSchemas };
const STATUS: Readonly<Record<number, string>> = {
  101: 'The connection is a WebSocket from here on',
  200: 'Done',
  201: 'Made',
  400: 'The request is invalid, or cannot be carried out',
  403: 'Refused to programs of the stack',
  404: 'No such path, container or network, or the stack runs no containers',
  409: 'The state of the container or network does not allow it',
  413: 'The body is too large',
  426: 'The request has to be an upgrade to a WebSocket',
  500: 'It failed for a reason of the machine',
  503: 'The stack cannot do this, or not now',
};

let made: JSONObject | undefined;

/** Made once. */
export function openAPI(): JSONObject {
  made ??= makeDocument();
  return made;
}

function makeDocument(): JSONObject {
  const requests = componentsOf(REQUESTS, 'input');
  const answers = componentsOf(ANSWERS, 'output');
  const paths: Record<string, JSONObject> = {};
  for (const operation of [...operations].sort(byPath)) {
    const path = operation.absolute ? operation.path : `/v1${operation.path}`;
    paths[path] = { ...paths[path], [operation.method.toLowerCase()]: described(operation, { requests, answers }) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'rootless-net',
      version: API_VERSION,
      description:
        "HTTP over the UNIX socket api.sock in a stack's state directory: RootlessKit's REST API, with additions. Unknown keys in bodies are refused by their names.",
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: 'http://stack', description: 'Any host name: the connection is to the socket.' }],
    paths,
    components: { schemas: { ...requests.schemas, ...answers.schemas }, responses: errorResponses(answers) },
  };
}

/** RootlessKit's clients read the body's `message`. */
function errorResponses({ refer }: Components): JSONObject {
  const content = { 'application/json': { schema: refer(stackSchemas.errorBody) } };
  const errors = Object.entries(STATUS).filter(([status]) => Number(status) >= 400);
  return Object.fromEntries(errors.map(([status, description]) => [`Error${status}`, { description, content }]));
}

function byPath(a: Operation, b: Operation): number {
  return a.path < b.path ? -1 : a.path > b.path ? 1 : 0;
}

interface Components {
  schemas: Record<string, JSONObject>;
  /** A schema as it is, or a reference to it. */
  refer(schema: z.ZodType): JSONObject;
}

/** Named schemas, and what is made of them. */
function componentsOf(named: Readonly<Record<string, z.ZodType>>, io: 'input' | 'output'): Components {
  const names = new Map<z.ZodType, string>();
  for (const [name, schema] of Object.entries(named)) names.set(schema, name.charAt(0).toUpperCase() + name.slice(1));
  const registry = z.registry<{ id: string }>();
  for (const [schema, id] of names) registry.add(schema, { id });
  const uri = (id: string) => `#/components/schemas/${id}`;
  const { schemas } = z.toJSONSchema(registry, { io, uri, unrepresentable: 'any' });
  const refer = (schema: z.ZodType): JSONObject => {
    const name = names.get(schema);
    if (name !== undefined) return { $ref: uri(name) };
    const { def } = schema._zod as { def: { type: string; element?: z.ZodType; options?: z.ZodType[] } };
    if (def.type === 'array' && def.element) return { type: 'array', items: refer(def.element) };
    if (def.type === 'union' && def.options) return { oneOf: def.options.map(refer) };
    if (def.type === 'nullable' && 'innerType' in def) {
      return { oneOf: [refer(def.innerType as z.ZodType), { type: 'null' }] };
    }
    return cleaned(z.toJSONSchema(schema, { io, unrepresentable: 'any' }));
  };
  return {
    schemas: Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, cleaned(schema)])),
    refer,
  };
}

/** Without what OpenAPI gives another place, and the limits of JavaScript's numbers. */
function cleaned({ $schema: _, $id: __, ...schema }: object & { $schema?: unknown; $id?: unknown }): JSONObject {
  return JSON.parse(
    JSON.stringify(schema, (key, value: unknown) =>
      (key === 'minimum' && value === Number.MIN_SAFE_INTEGER) ||
      (key === 'maximum' && value === Number.MAX_SAFE_INTEGER)
        ? undefined
        : value,
    ),
  ) as JSONObject;
}

function described(operation: Operation, { requests, answers }: { requests: Components; answers: Components }) {
  const { answer, body, description, errors = [], example, path, query = {}, status, summary, tag } = operation;
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  const parameters = [
    ...inPath.map((name) =>
      parameter(name, 'path', { type: name === 'id' ? 'integer' : 'string', description: '', required: true }),
    ),
    ...Object.entries(query).map(([name, settings]) => parameter(name, 'query', settings)),
  ];
  const json = (schema: JSONObject, more = {}) => ({ 'application/json': { schema, ...more } });
  const responses: Record<string, JSONObject> = {
    [status]: { description: STATUS[status], ...(answer && { content: json(answers.refer(answer)) }) },
  };
  for (const error of new Set([...errors, 404, 500]))
    responses[error] = { $ref: `#/components/responses/Error${error}` };
  return {
    operationId: operationId(operation),
    summary,
    ...(description !== undefined && { description }),
    tags: [tag],
    ...(parameters.length > 0 && { parameters }),
    ...(body && {
      requestBody: {
        required: true,
        content: json(requests.refer(body), example?.body === undefined ? {} : { example: example.body }),
      },
    }),
    responses,
  };
}

function parameter(
  name: string,
  place: 'path' | 'query',
  { description, required = false, type }: Parameter,
): JSONObject {
  return {
    name,
    in: place,
    ...(required && { required }),
    ...(description !== '' && { description }),
    schema: { type },
  };
}

/** `postContainersNameStart`. */
function operationId({ method, path }: Operation): string {
  const words = path.split(/\W+/).filter((word) => word !== '');
  return method.toLowerCase() + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
}

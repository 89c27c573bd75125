/** Which function answers which method and path. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TraceReport } from '../../protocol/api/trace.js';
import type { Flow, Info } from '../../protocol/api/types.js';
import type { ErrorBody } from '../../protocol/errors/error-body.js';
import { ExpectedError } from '../../protocol/errors/expected-error.js';
import { printable } from '../../protocol/text/printable-text.js';
import { type Egress, EgressError } from '../egress/egress.js';
import type { Overlays } from '../overlay/overlays.js';
import { changeEgress, egressOf } from './egress/changes.js';
import { changeLimit, type LimitsAPIOptions, reportLimit } from './egress/limit.js';
import { isInside } from './egress/peer.js';
import { type Backend, forward, isForwarded } from './forward.js';
import { addPorts, removePorts } from './port-lists.js';
import { addPort, listPorts, parsePortId, removePort } from './ports.js';
import { MAX_BODY, parseJSONBody, readBody } from './request-body.js';
import { type Reply, send } from './response.js';

export interface RouteOptions extends LimitsAPIOptions {
  info: () => Info;
  /** Open connections and flows, so many of each direction at most, with or without their programs; `undefined` for none. */
  flows?: (most: number, programs: boolean) => Promise<Flow[]>;
  /** Follows a connection to that address of the host. Throws HostAddressError. */
  trace?: (address: string) => Promise<TraceReport>;
  /** In the text format of Prometheus. */
  metrics?: () => Promise<Reply>;
  /** `undefined` where the network has no policy. */
  egress?: Egress | undefined;
  /** `undefined` where the stack runs no containers. */
  overlays?: (() => Promise<Overlays>) | undefined;
  /** `undefined` where the stack runs no containers: requests about them are then answered with 404. */
  containers?: Backend | undefined;
}

/** As many flows of each direction as are listed unless requested otherwise, and at most. */
const USUAL_FLOWS = 1000;
const MAX_FLOWS = 100_000;

export const NO_CONTAINERS: ErrorBody = {
  message: 'this stack runs no containers',
  code: 'no-containers',
  hint: 'start one that does with: rootless-run serve',
};

const NOT_FOUND: Reply = { status: 404, text: '404 page not found\n' };

/** A request for the API itself, not for the agent's part of it. */
export interface APIRequest {
  method: string;
  /** See parseTarget(). */
  target: Target;
  /** Whether the client is a process of this stack's namespaces, or may be. */
  fromInside(): boolean;
  /** Throws RequestBodyError. */
  body(): Buffer | Promise<Buffer>;
}

/** Answers a request that is not an upgrade. Throws ExpectedError, and any error for a defect. */
export async function handle(options: RouteOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = '', url } = request;
  const target = parseTarget(url);
  if (isForwarded(target.pathname)) {
    if (options.containers) return forward(options.containers, request, response);
    return send(response, { status: 404, body: NO_CONTAINERS });
  }
  send(
    response,
    await answer(options, {
      method,
      target,
      fromInside: () => isInside(request.socket),
      body: () => readBody(request, MAX_BODY),
    }),
  );
}

/** Throws ExpectedError, and any error for a defect. */
export function answer(options: RouteOptions, request: APIRequest): Reply | Promise<Reply> {
  if (/^\/v1\/overlays(\/|$)/.test(request.target.pathname)) return answerOverlay(options, request);
  const routes = routesOf(options, request);
  if (!routes) return NOT_FOUND;
  const route = routes[request.method];
  return route ? route() : { status: 405 };
}

/** Loaded when it is needed first. */
async function answerOverlay({ overlays }: RouteOptions, { target, ...request }: APIRequest): Promise<Reply> {
  if (!overlays) return { status: 404, body: NO_CONTAINERS };
  const { answerOverlays } = await import('./overlay/routes.js');
  const { pathname, searchParams: query } = target;
  return (await answerOverlays(await overlays(), { ...request, pathname, query })) ?? NOT_FOUND;
}

type Routes = Partial<Record<string, () => Reply | Promise<Reply>>>;

/** The methods of a path; undefined for an unknown path. */
function routesOf(options: RouteOptions, { target, fromInside, body }: APIRequest): Routes | undefined {
  const { pathname, searchParams: query } = target;
  if (pathname === '/v1/info') return { GET: () => ({ status: 200, body: options.info() }) };
  if (pathname === '/v1/ports') {
    const ids = query.get('ids');
    return {
      GET: () => ({ status: 200, body: listPorts(options, query.get('counters') === 'true') }),
      POST: async () => {
        const spec = parseJSONBody(await body());
        const persistent = query.get('persist') === 'true';
        const added = Array.isArray(spec)
          ? await addPorts(options, spec, persistent)
          : await addPort(options, spec, persistent);
        return { status: 201, body: added };
      },
      ...(ids !== null && {
        DELETE: async () => {
          await removePorts(options, ids);
          return { status: 200 };
        },
      }),
    };
  }
  if (pathname === '/v1/flows') {
    const most = parseLimit(query.get('limit'));
    return {
      GET: async () => ({ status: 200, body: (await options.flows?.(most, query.get('programs') !== 'false')) ?? [] }),
    };
  }
  if (pathname === '/v1/trace') {
    return { GET: async () => ({ status: 200, body: await options.trace?.(query.get('address') ?? '') }) };
  }
  if (pathname === '/metrics') return { GET: async () => (await options.metrics?.()) ?? NOT_FOUND };
  if (pathname === '/v1/egress') {
    const change = async (how: 'add' | 'remove') => {
      if (fromInside()) throw new EgressError(403, 'the egress policy can be changed from outside of the stack only');
      return { status: 200, body: changeEgress(options.egress, how, parseJSONBody(await body())) };
    };
    return {
      GET: () => ({ status: 200, body: egressOf(options.egress).report() }),
      POST: () => change('add'),
      DELETE: () => change('remove'),
    };
  }
  const limited = /^\/v1(?:\/ports\/(\d{1,15}))?\/limit$/.exec(pathname);
  if (limited) {
    const [, port] = limited;
    return {
      GET: () => ({ status: 200, body: reportLimit(options, port) }),
      PUT: async () => {
        if (fromInside()) throw new EgressError(403, 'rate limits can be changed from outside of the stack only');
        return { status: 200, body: changeLimit(options, parseJSONBody(await body()), port) };
      },
    };
  }
  const id = /^\/v1\/ports\/([^/]+)$/.exec(pathname)?.[1];
  if (id !== undefined) {
    return {
      DELETE: async () => {
        await removePort(options, parsePortId(id));
        return { status: 200 };
      },
    };
  }
  if (pathname === '/v1/openapi.json') {
    return {
      GET: async () => ({ status: 200, body: (await import('./openapi/document.js')).openAPI() }),
    };
  }
  // Requests with an upgrade do not come here.
  if (pathname === '/v1/events' || pathname === '/v1/programs')
    return { GET: () => ({ status: 426, body: { message: 'expected a WebSocket', code: 'not-a-websocket' } }) };
  return undefined;
}

/** Throws InvalidLimitError. */
function parseLimit(text: string | null): number {
  if (text === null) return USUAL_FLOWS;
  const limit = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= MAX_FLOWS) return limit;
  throw new InvalidLimitError(`invalid limit ${printable(text)}: expected a number from 1 to ${MAX_FLOWS}`);
}

class InvalidLimitError extends ExpectedError {
  override name = 'InvalidLimitError';
  override readonly code: string = 'invalid';
  override readonly httpStatus = 400;
}

export type Target = Pick<URL, 'pathname' | 'searchParams'>;

const NO_PARAMS = new URLSearchParams();

/** Path and query of a request, whatever its host. A target that is not a URL gets the answer of an unknown path. */
export function parseTarget(text = '/'): Target {
  // Nearly all are plain paths: no URL has to be parsed for them.
  if (/^\/[\w/]*$/.test(text)) return { pathname: text, searchParams: NO_PARAMS };
  if (text.startsWith('/')) return new URL(`http://stack${text}`);
  return new URL(URL.canParse(text) ? text : 'http://stack/');
}

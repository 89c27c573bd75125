/** Which function answers which method and path. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Info } from '../../protocol/api/types.js';
import type { ErrorBody } from '../../protocol/errors/error-body.js';
import { type Backend, forward, isForwarded } from './forward.js';
import { addPort, listPorts, type PortsAPIOptions, parsePortId, removePort } from './ports.js';
import { type Reply, send, sendText } from './response.js';

export interface RouteOptions extends PortsAPIOptions {
  info: () => Info;
  /** `undefined` where the stack runs no containers: requests about them are then answered with 404. */
  containers?: Backend | undefined;
}

export const NO_CONTAINERS: ErrorBody = {
  message: 'this stack runs no containers',
  code: 'no-containers',
  hint: 'start one that does with: rootless-run serve',
};

/** Answers a request that is not an upgrade. Throws ExpectedError, and any error for a defect. */
export async function handle(options: RouteOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = target(request);
  if (isForwarded(pathname)) {
    if (options.containers) return forward(options.containers, request, response);
    return send(response, { status: 404, body: NO_CONTAINERS });
  }
  const routes = routesOf(pathname, searchParams, options, request);
  if (!routes) return sendText(response, 404, '404 page not found\n');
  const route = routes[request.method ?? ''];
  if (!route) return send(response, { status: 405 });
  send(response, await route());
}

type Routes = Partial<Record<string, () => Reply | Promise<Reply>>>;

/** The methods of a path; undefined for an unknown path. */
function routesOf(
  pathname: string,
  query: URLSearchParams,
  options: RouteOptions,
  request: IncomingMessage,
): Routes | undefined {
  if (pathname === '/v1/info') return { GET: () => ({ status: 200, body: options.info() }) };
  if (pathname === '/v1/ports') {
    return {
      GET: () => ({ status: 200, body: listPorts(options, query.get('counters') === 'true') }),
      POST: async () => ({ status: 201, body: await addPort(options, request, query.get('persist') === 'true') }),
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
  // Requests with an upgrade do not come here.
  if (pathname === '/v1/events')
    return { GET: () => ({ status: 426, body: { message: 'expected a WebSocket', code: 'not-a-websocket' } }) };
  return undefined;
}

const NO_PARAMS = new URLSearchParams();

/** Path and query of a request, whatever its host. A target that is not a URL gets the answer of an unknown path. */
export function target(request: IncomingMessage): Pick<URL, 'pathname' | 'searchParams'> {
  const text = request.url ?? '/';
  // Nearly all are plain paths: no URL has to be parsed for them.
  if (/^\/[\w/]*$/.test(text)) return { pathname: text, searchParams: NO_PARAMS };
  if (text.startsWith('/')) return new URL(`http://stack${text}`);
  return new URL(URL.canParse(text) ? text : 'http://stack/');
}

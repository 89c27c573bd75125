/** A route of the API, and what all tables of routes share. */
import { ContainerError } from '../errors.js';
import type { Services } from './services.js';

export interface Reply {
  status: number;
  /** To be sent as JSON; none unless given. */
  body?: unknown;
}

export interface RouteRequest {
  /** The second part of the path, for which `*` stands in the tables; "" if there is none. */
  name: string;
  query: URLSearchParams;
  /** Resolves with the JSON value of the body. Throws ContainerError. */
  body: () => Promise<unknown>;
}

/** Throws ContainerError, and errors of protocol/containers for invalid requests. */
export type Route = (services: Services, request: RouteRequest) => Promise<Reply>;

/** Routes by method and path after the version, such as `POST /containers/NAME/start` with `*` in place of the name. */
export type Routes = Readonly<Record<string, Route>>;

export function ok(body?: unknown): Reply {
  return { status: 200, ...(body === undefined ? {} : { body }) };
}

export function created(body: unknown): Reply {
  return { status: 201, body };
}

export function expectedWebSocket(): ContainerError {
  return new ContainerError('expected a WebSocket', 426);
}

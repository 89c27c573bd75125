/** How the requests of the API are described; see document.ts. */
import type * as z from 'zod';

export interface Parameter {
  description: string;
  type: 'string' | 'integer' | 'boolean';
  required?: boolean;
}

export interface Operation {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Below /v1, such as `/ports/{id}`. */
  path: string;
  /** The path is not below /v1. */
  absolute?: true;
  summary: string;
  tag: 'stack' | 'ports' | 'egress' | 'containers' | 'networks' | 'overlays';
  query?: Readonly<Record<string, Parameter>>;
  body?: z.ZodType;
  /** Status of success, and its body; none where absent. */
  status: 200 | 201 | 101;
  answer?: z.ZodType;
  /** Statuses of errors beside 404 and 500. */
  errors?: readonly number[];
  /** A request that works on a stack with the examples before it: the path as it is sent, with its query, and the body. */
  example?: { path: string; body?: unknown };
  /** Further text, for unusual requests. */
  description?: string;
}

/** Requests of rootless-net to child/reader.ts while no stack runs, and their answers. */
import type { LogsRequest } from '../containers/types.js';
import type { ErrorBody } from '../errors/error-body.js';

/** Names may be names, ids, or the beginnings of ids. */
export type OfflineQuestion =
  | { what: 'containers' | 'networks' }
  | { what: 'container' | 'network' | 'wait'; name: string }
  | { what: 'logs'; name: string; request: LogsRequest };

export type OfflineAnswer =
  | { result: unknown; warnings: string[] }
  | { error: ErrorBody & { status: number }; warnings: string[] };

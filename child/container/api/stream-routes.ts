/** Routes that are upgraded to a WebSocket: `GET /containers/NAME/{attach,logs,exec}`. */
import type { WebSocket } from 'ws';
import { parseLogsRequest } from '../../../protocol/containers/schemas.js';
import type { TerminalSize } from '../../../protocol/containers/types.js';
import { ContainerError } from '../errors.js';
import type { ContainerRecord } from '../storage/container-store.js';
import { expectedWebSocket } from './route.js';
import type { Services } from './services.js';

/** Serves the client of a stream once the WebSocket is open. */
export type StreamTask = (client: WebSocket) => Promise<void>;

/** Throws ContainerError if the request is refused. */
type StreamRoute = (services: Services, record: ContainerRecord, query: URLSearchParams) => StreamTask;

const streamRoutes: Readonly<Record<string, StreamRoute>> = {
  attach: ({ streams }, { id }, query) => {
    const flag = (key: string) => query.get(key) === 'true';
    const follow = query.get('follow') !== 'false';
    const options = { start: flag('start'), logs: flag('logs'), follow, size: sizeOf(query) };
    return (client) => streams.attach(client, id, options);
  },
  logs: ({ streams }, { id }, query) => {
    const request = parseLogsRequest(Object.fromEntries(query));
    return (client) => streams.logs(client, id, request);
  },
  exec: ({ streams }, record, query) => {
    const id = query.get('id');
    if (id === null) throw new ContainerError('an exec is created with POST first, which responds with its id');
    const request = streams.execs.take(record, id);
    return (client) => streams.exec(client, record, request);
  },
};

/**
 * @param path the parts of the path after the version
 * @throws ContainerError where the request is refused
 */
export function streamTask(
  services: Services,
  { url, path, upgrade }: { url: URL; path: readonly string[]; upgrade: string | undefined },
): StreamTask {
  const [kind, name = '', verb = '', ...more] = path;
  const route = kind === 'containers' && more.length === 0 ? streamRoutes[verb] : undefined;
  if (!route) throw new ContainerError(`the API has no stream ${url.pathname}`, 404);
  if (upgrade?.toLowerCase() !== 'websocket') throw expectedWebSocket();
  return route(services, services.containers.store.find(name), url.searchParams);
}

/** The terminal's size; undefined if the query has none, or an invalid one. */
function sizeOf(query: URLSearchParams): TerminalSize | undefined {
  const [columns, rows] = ['columns', 'rows'].map((name) => Number(query.get(name) ?? 0));
  const valid = [columns, rows].every(
    (count) => Number.isInteger(count) && Number(count) > 0 && Number(count) < 65_536,
  );
  return valid ? { columns: Number(columns), rows: Number(rows) } : undefined;
}

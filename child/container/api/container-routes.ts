import {
  parseContainerRequest,
  parseEgressRules,
  parseExecRequest,
  parseLimitChange,
  parseName,
} from '../../../protocol/containers/schemas.js';
import { errorText } from '../../../protocol/errors/error-text.js';
import { signalNumber } from '../../../protocol/system/signals.js';
import { ContainerError } from '../errors.js';
import { created, expectedWebSocket, ok, type Routes } from './route.js';

export const containerRoutes: Routes = {
  'GET /containers': async ({ containers }) =>
    ok(await Promise.all(containers.store.all().map((record) => containers.report(record)))),
  'POST /containers': async ({ containers }, { body }) => {
    const record = await containers.create(parseContainerRequest(await body()));
    return created(await containers.report(record));
  },
  'GET /containers/*': async ({ containers }, { name }) => ok(await containers.report(containers.store.find(name))),
  'DELETE /containers/*': async ({ containers }, { name, query }) => {
    await containers.remove(name, { force: query.get('force') === 'true' });
    return ok();
  },
  'POST /containers/*/start': async ({ containers }, { name }) =>
    ok(await containers.report(await containers.start(name))),
  'POST /containers/*/stop': async ({ containers }, { name, query }) => {
    await containers.stop(name, { timeout: stopTimeoutOf(query), signal: stopSignalOf(query) });
    return ok();
  },
  'POST /containers/*/restart': async ({ containers }, { name, query }) => {
    await containers.stop(name, { timeout: stopTimeoutOf(query), signal: stopSignalOf(query) });
    return ok(await containers.report(await containers.start(name)));
  },
  'POST /containers/*/kill': async ({ containers }, { name, query }) => {
    await containers.kill(name, parseSignal(query.get('signal') ?? 'KILL'));
    return ok();
  },
  'POST /containers/*/rename': async ({ containers }, { name, query }) => {
    await containers.rename(name, parseName(query.get('name') ?? undefined));
    return ok();
  },
  'POST /containers/*/wait': async ({ containers }, { name }) => {
    const { id } = containers.store.find(name);
    return ok({ exitCode: (await containers.wait(id)) ?? null });
  },
  'GET /usage': async ({ usage }) => ok(usage.list()),
  'GET /containers/*/processes': async ({ usage }, { name }) => ok(usage.processes(name)),
  'POST /containers/*/exec': async ({ streams }, { name, body }) => {
    const id = await streams.execs.prepare(name, parseExecRequest(await body()));
    return created({ id });
  },
  'GET /containers/*/egress': async ({ networkAdmin }, { name }) => ok(await networkAdmin.containerEgress(name)),
  'POST /containers/*/egress': async ({ networkAdmin }, { name, body }) =>
    ok(await networkAdmin.changeContainerEgress(name, 'add', parseEgressRules(await body()))),
  'DELETE /containers/*/egress': async ({ networkAdmin }, { name, body }) =>
    ok(await networkAdmin.changeContainerEgress(name, 'remove', parseEgressRules(await body()))),
  'GET /containers/*/limit': async ({ networkAdmin }, { name }) => ok(await networkAdmin.containerLimit(name)),
  'PUT /containers/*/limit': async ({ networkAdmin }, { name, body }) =>
    ok(await networkAdmin.changeContainerLimit(name, parseLimitChange(await body()))),
  // These are streams, see stream-routes.ts.
  'GET /containers/*/attach': () => Promise.reject(expectedWebSocket()),
  'GET /containers/*/logs': () => Promise.reject(expectedWebSocket()),
  'GET /containers/*/exec': () => Promise.reject(expectedWebSocket()),
};

/** In ms, from seconds in the query; undefined for the container's own. Throws ContainerError. */
function stopTimeoutOf(query: URLSearchParams): number | undefined {
  const text = query.get('timeout');
  if (text === null) return undefined;
  if (text === '-1') return Number.POSITIVE_INFINITY;
  if (!/^\d{1,6}$/.test(text)) throw new ContainerError(`invalid timeout ${text}: expected a number of seconds`);
  return Number(text) * 1000;
}

/** Undefined for the container's own. Throws ContainerError. */
function stopSignalOf(query: URLSearchParams): number | undefined {
  const text = query.get('signal');
  return text === null ? undefined : parseSignal(text);
}

/** Throws ContainerError. */
function parseSignal(text: string): number {
  try {
    return signalNumber(text);
  } catch (error) {
    throw new ContainerError(errorText(error));
  }
}

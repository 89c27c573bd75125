/**
 * The agent's part of the API, which the parent passes on to agent.sock: containers, networks, gc; and the hooks, which
 * come here directly. Errors are `{"message": …}` with the status of their class; those of hooks are plain text.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  ContainerRequestError,
  parseAttachmentRequest,
  parseContainerRequest,
  parseExecRequest,
  parseName,
  parseNetworkRequest,
} from '../../protocol/container-schemas.js';
import type { ContainerReport, NetworkReport, TerminalSize } from '../../protocol/containers.js';
import { errorText } from '../../protocol/error-text.js';
import type { Attachments } from './attachments.js';
import type { BridgeDriver } from './bridge-driver.js';
import type { CNI } from './cni/chain.js';
import { type Containers, STOP_TIMEOUT } from './containers.js';
import { ConflictError, ContainerError } from './errors.js';
import type { GarbageCollector } from './garbage.js';
import type { Hooks } from './hooks.js';
import type { Ipam } from './ipam.js';
import { isInternal, type Network, type Networks, subnetsOf } from './networks.js';
import { refuseStream, type Streams } from './streams.js';

export interface Services {
  containers: Containers;
  networks: Networks;
  attachments: Attachments;
  bridges: BridgeDriver;
  cni: CNI;
  ipam: Ipam;
  hooks: Hooks;
  garbage: GarbageCollector;
  streams: Streams;
  warn: (line: string) => void;
}

/** A container may publish thousands of ports. */
const MAX_BODY = 8 * 1024 * 1024;

interface Reply {
  status: number;
  body?: unknown;
}

export function makeServer(services: Services): Server {
  const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, (request, response) => {
    const url = targetOf(request);
    handle(services, request, url).then(
      ({ status, body }) => answer(response, status, body),
      (error: unknown) => refuse(services, url, response, error),
    );
  });
  server.on('upgrade', (request, socket, head) => {
    // Until there is a WebSocket, which listens itself.
    socket.on('error', () => socket.destroy());
    upgrade(services, request, socket, head).catch((error: unknown) => {
      services.warn(`a stream failed: ${errorText(error)}`);
      socket.destroy();
    });
  });
  return server;
}

/** Of what is no URL, that of a path that there is not. */
function targetOf({ url = '/' }: IncomingMessage): URL {
  const text = url.startsWith('/') ? `http://agent${url}` : url;
  return new URL(URL.canParse(text) ? text : 'http://agent/');
}

/** What stands after the version. Throws ContainerError. */
function partsOf({ pathname }: URL): string[] {
  try {
    return pathname.split('/').slice(2).map(decodeURIComponent);
  } catch {
    throw new ContainerError(`${pathname} is no path: a "%" in it begins nothing`, 404);
  }
}

async function handle(services: Services, request: IncomingMessage, url: URL): Promise<Reply> {
  const path = partsOf(url);
  const key = (parts: string[]) => `${request.method} /${parts.join('/')}`;
  const route = routes[key(path)] ?? routes[key(path.map((part, index) => (index === 1 ? '*' : part)))];
  if (!route) throw new ContainerError(`the API has no ${request.method} ${url.pathname}`, 404);
  return route(services, path[1] ?? '', url.searchParams, () => readBody(request));
}

type Route = (services: Services, name: string, query: URLSearchParams, body: () => Promise<unknown>) => Promise<Reply>;

const ok = (body?: unknown): Reply => ({ status: 200, ...(body === undefined ? {} : { body }) });

const routes: Readonly<Record<string, Route>> = {
  'GET /containers': async ({ containers }) =>
    ok(await Promise.all(containers.records.all().map((record) => containers.report(record)))),
  'POST /containers': async ({ containers }, _name, _query, body) => {
    const record = await containers.create(parseContainerRequest(await body()));
    return { status: 201, body: await containers.report(record) };
  },
  'GET /containers/*': async ({ containers }, name) => ok(await containers.report(containers.records.find(name))),
  'DELETE /containers/*': async ({ containers }, name, query) => {
    await containers.remove(name, { force: query.get('force') === 'true' });
    return ok();
  },
  'POST /containers/*/start': async ({ containers }, name) => ok(await containers.report(await containers.start(name))),
  'POST /containers/*/stop': async ({ containers }, name, query) => {
    await containers.stop(name, timeoutOf(query));
    return ok();
  },
  'POST /containers/*/restart': async ({ containers }, name, query) => {
    await containers.stop(name, timeoutOf(query));
    return ok(await containers.report(await containers.start(name)));
  },
  'POST /containers/*/kill': async ({ containers }, name, query) => {
    await containers.kill(name, signalOf(query.get('signal') ?? 'SIGKILL'));
    return ok();
  },
  'POST /containers/*/rename': async ({ containers }, name, query) => {
    await containers.rename(name, parseName(query.get('name')));
    return ok();
  },
  'POST /containers/*/wait': async ({ containers }, name) => {
    const { id } = containers.records.find(name);
    return ok({ exitCode: (await containers.wait(id)) ?? null });
  },
  'GET /networks': async (services) =>
    ok(await Promise.all((await services.networks.list()).map((network) => reportNetwork(services, network)))),
  'POST /networks': async (services, _name, _query, body) => {
    const network = await services.networks.create(parseNetworkRequest(await body()));
    return { status: 201, body: await reportNetwork(services, network) };
  },
  'POST /networks/prune': async (services) => ok({ removed: await prune(services) }),
  'GET /networks/*': async (services, name) => ok(await reportNetwork(services, await find(services, name))),
  'DELETE /networks/*': async (services, name) => {
    await removeNetwork(services, await find(services, name));
    return ok();
  },
  'POST /networks/*/check': async (services, name) =>
    ok({ problems: await check(services, await find(services, name)) }),
  'POST /networks/*/connect': async ({ containers }, name, query, body) => {
    const given = await body();
    const asked = parseAttachmentRequest({ ...(typeof given === 'object' ? given : {}), network: name });
    return ok(await containers.connect(query.get('container') ?? '', asked));
  },
  'POST /networks/*/disconnect': async ({ containers }, name, query) =>
    ok(await containers.disconnect(query.get('container') ?? '', name)),
  'POST /gc': async ({ garbage }, _name, query) =>
    ok(await garbage.run(query.get('repair') === 'true' ? 'all' : 'none')),
  'POST /hooks/createRuntime': async ({ hooks }, _name, _query, body) => {
    await hooks.run('createRuntime', await body());
    return ok();
  },
  'POST /hooks/poststop': async ({ hooks }, _name, _query, body) => {
    await hooks.run('poststop', await body());
    return ok();
  },
};

// --- networks

async function find({ networks }: Services, name: string): Promise<Network> {
  if (name === 'host' || name === 'none') {
    throw new ContainerError(`${name} is no network of its own: containers with --network=${name} use it`);
  }
  return name === 'bridge' ? networks.default() : networks.find(name);
}

async function reportNetwork({ containers }: Services, network: Network): Promise<NetworkReport> {
  const reports = await Promise.all(containers.records.all().map((record) => containers.report(record)));
  const members = reports.flatMap((report: ContainerReport) =>
    report.attachments
      .filter((attachment) => attachment.network === network.name)
      .map(({ mac, ips }) => [report.id, { name: report.name, mac, ips }] as const),
  );
  return {
    name: network.name,
    id: network.id,
    driver: network.driver,
    own: network.own,
    file: network.file,
    subnets: subnetsOf(network).map(({ subnet, gateway }) => ({
      subnet,
      ...(gateway === undefined ? {} : { gateway }),
    })),
    internal: isInternal(network),
    labels: network.labels,
    containers: Object.fromEntries(members),
    conflist: network.list,
  };
}

/** Name of a container that refers to the network, whether it runs or not; those of others count while they run. */
async function userOf({ containers, attachments, garbage }: Services, network: Network): Promise<string | undefined> {
  const own = containers.records.all().find(({ request: { network: asked } }) => {
    return asked.mode === 'networks' && asked.networks.some((entry) => entry.network === network.name);
  });
  if (own) return own.name;
  for (const { id, name } of await attachments.on(network)) {
    if (await garbage.lives(id)) return name;
  }
  return undefined;
}

async function removeNetwork(services: Services, network: Network): Promise<void> {
  const user = await userOf(services, network);
  if (user !== undefined) {
    throw new ConflictError(`the network ${network.name} is in use by the container ${user}; remove that first`);
  }
  await services.networks.remove(network);
  await services.bridges.remove(network);
  await services.ipam.forget(network.name);
}

async function prune(services: Services): Promise<string[]> {
  const removed: string[] = [];
  for (const network of await services.networks.list()) {
    if (!network.own || network.name === 'bridge' || (await userOf(services, network)) !== undefined) continue;
    await removeNetwork(services, network);
    removed.push(network.name);
  }
  return removed;
}

/** What is not as it should be, a line each. */
async function check({ containers, networks, attachments, cni }: Services, network: Network): Promise<string[]> {
  const problems: string[] = [];
  const attempt = async (whose: string, task: Promise<unknown>) => {
    await task.catch((error: unknown) => problems.push(`${whose}: ${errorText(error)}`));
  };
  problems.push(...(await networks.problemsOf(network.name)));
  if (!network.bridge) await attempt(network.name, cni.status(network.list));
  for (const record of containers.records.all()) {
    const report = await containers.report(record);
    if (!report.attachments.some((attachment) => attachment.network === network.name)) continue;
    await attempt(record.name, attachments.check(record.id));
  }
  return problems;
}

// --- streams

async function upgrade(services: Services, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
  const url = targetOf(request);
  const { WebSocketServer } = await import('ws');
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  server.handleUpgrade(request, socket, head, (client) => {
    client.on('error', () => {});
    const flag = (key: string) => url.searchParams.get(key) === 'true';
    const run = async () => {
      const [, name = '', verb = ''] = partsOf(url);
      if (verb === 'attach') {
        const options = {
          start: flag('start'),
          logs: flag('logs'),
          follow: url.searchParams.get('follow') !== 'false',
          size: sizeOf(url.searchParams),
        };
        return services.streams.attach(client, name, options);
      }
      if (verb === 'exec') {
        const asked = parseJSON(url.searchParams.get('request') ?? '{}');
        return services.streams.exec(client, name, parseExecRequest(asked));
      }
      throw new ContainerError(`the API has no stream ${url.pathname}`, 404);
    };
    run().catch((error: unknown) => refuseStream(client, error));
  });
}

// --- requests and answers

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= MAX_BODY) chunks.push(chunk);
  }
  if (size > MAX_BODY) throw new ContainerError(`the request is larger than ${MAX_BODY} bytes`);
  const text = Buffer.concat(chunks).toString('utf8');
  return text.trim() === '' ? {} : parseJSON(text);
}

/** Throws ContainerError. */
function parseJSON(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ContainerError(`the request is not JSON: ${errorText(error)}`);
  }
}

/** In seconds, as the query has it; in ms. */
function timeoutOf(query: URLSearchParams): number {
  const text = query.get('timeout');
  if (text === null) return STOP_TIMEOUT;
  if (!/^\d{1,6}$/.test(text)) throw new ContainerError(`the time-out ${text} is no number of seconds`);
  return Number(text) * 1000;
}

function sizeOf(query: URLSearchParams): TerminalSize | undefined {
  const [columns, rows] = ['columns', 'rows'].map((name) => Number(query.get(name) ?? 0));
  const given = [columns, rows].every(
    (count) => Number.isInteger(count) && Number(count) > 0 && Number(count) < 65_536,
  );
  return given ? { columns: Number(columns), rows: Number(rows) } : undefined;
}

const SIGNALS = new Set(
  'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS'.split(
    ' ',
  ),
);

function signalOf(text: string): NodeJS.Signals {
  const name = text.toUpperCase().replace(/^SIG/, '');
  if (!SIGNALS.has(name)) throw new ContainerError(`unknown signal ${text}; use a name such as TERM`);
  return `SIG${name}` as NodeJS.Signals;
}

function answer(response: ServerResponse, status: number, body?: unknown): void {
  const text = body === undefined ? '' : JSON.stringify(body);
  response.writeHead(status, {
    ...(text === '' ? {} : { 'Content-Type': 'application/json' }),
    'Content-Length': Buffer.byteLength(text),
  });
  response.end(text);
}

function refuse({ warn }: Services, url: URL, response: ServerResponse, error: unknown): void {
  const known = error instanceof ContainerError;
  const status = known ? error.status : error instanceof ContainerRequestError ? 400 : 500;
  if (!known && status === 500) warn(`internal error: ${error instanceof Error ? error.stack : String(error)}`);
  const message = errorText(error);
  if (url.pathname.startsWith('/v1/hooks/')) {
    response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' }).end(`${message}\n`);
    return;
  }
  answer(response, status, { message });
}

/**
 * What `NAME.localhost` means: the published TCP ports of this user's stacks and their containers. The APIs of the stacks are
 * asked, this one's included, when a request comes and what is known is older than FRESH_MS.
 */
import { isContainerReport, isListOf } from '../../protocol/api/report-shapes.js';
import type { PortReport } from '../../protocol/api/types.js';
import type { StackRecord } from '../../protocol/state/stack-record.js';
import { StackClient } from '../client/stack-client.js';
import { findStacks } from '../stack-discovery/running.js';

const FRESH_MS = 500;
/** For one request of a stack's API, in ms. */
const DEADLINE_MS = 2_000;
const SUFFIX = 'localhost';

/** Ports inside that are taken first, where a name has several. */
const PREFERRED = { http: [80, 8080, 3000, 8000, 5173, 5000], tls: [443, 8443] };

/** A published port: where it is on the host, and its number inside. */
export interface RoutedPort {
  host: string;
  port: number;
  inside: number;
}

export type Scheme = keyof typeof PREFERRED;

export type Route =
  | { to: RoutedPort }
  /** Why there is none, in one line. */
  | { problem: string; status: 404 | 421 };

export type PortsByName = ReadonlyMap<string, readonly RoutedPort[]>;

export class Routes {
  #known: Promise<PortsByName> | undefined;
  #since = Number.NEGATIVE_INFINITY;

  /** @param own the record of this stack, whose names come before those of others */
  constructor(private readonly own: Pick<StackRecord, 'stateDir'>) {}

  /** @param host as a client names it: `web.localhost:8080` */
  async find(host: string, scheme: Scheme): Promise<Route> {
    const now = performance.now();
    if (this.#known === undefined || now - this.#since > FRESH_MS) {
      this.#since = now;
      this.#known = this.#read();
    }
    return routeOf(host, scheme, await this.#known);
  }

  async #read(): Promise<PortsByName> {
    const { running } = await findStacks();
    running.sort((a, b) => Number(this.#isOwn(b)) - Number(this.#isOwn(a)));
    const names = new Map<string, RoutedPort[]>();
    for (const entries of await Promise.all(running.map((stack) => namesOf(stack).catch(() => [])))) {
      // Of two with one name the first has it.
      for (const [name, ports] of entries) if (!names.has(name)) names.set(name, ports);
    }
    return names;
  }

  #isOwn({ stateDir }: StackRecord): boolean {
    return stateDir === this.own.stateDir;
  }
}

/** The names of one stack with their ports. Throws where it does not answer. */
async function namesOf({ name, socket }: StackRecord): Promise<[string, RoutedPort[]][]> {
  const client = new StackClient(socket);
  const ports = (await client.call('GET', '/v1/ports', undefined, DEADLINE_MS)) as readonly PortReport[] | null;
  const routed = new Map<string, RoutedPort[]>();
  for (const { spec, container = '' } of ports ?? []) {
    if (!spec.proto.startsWith('tcp')) continue;
    const port = { host: reachable(spec.parentIP ?? ''), port: spec.parentPort, inside: spec.childPort };
    routed.set(container, [...(routed.get(container) ?? []), port]);
  }
  const own = routed.get('');
  routed.delete('');
  const names: [string, RoutedPort[]][] = [];
  if (routed.size > 0) {
    const list = await client.call('GET', '/v1/containers', undefined, DEADLINE_MS);
    for (const container of isListOf(isContainerReport)(list) ? list : []) {
      const found = routed.get(container.id);
      if (found) names.push([container.name.toLowerCase(), found]);
    }
  }
  if (name !== undefined && own) names.push([name.toLowerCase(), own]);
  return names;
}

/** Where a client on the host finds what is published on an address. */
function reachable(ip: string): string {
  return ip === '' || ip === '0.0.0.0' || ip === '::' ? '127.0.0.1' : ip;
}

export function routeOf(host: string, scheme: Scheme, names: PortsByName): Route {
  const labels = host
    .toLowerCase()
    .replace(/:\d{1,5}$/, '')
    .replace(/\.$/, '')
    .split('.');
  // Only such names are led anywhere: other ones may be of a site that wants to reach servers here (DNS rebinding).
  if (labels.pop() !== SUFFIX) {
    return {
      status: 421,
      problem: `this is the router of NAME.localhost; ${JSON.stringify(host.slice(0, 100))} does not lead here`,
    };
  }
  const name = labels.join('.');
  const known = names.get(name);
  if (known) return chosen(known, scheme);
  const [first = '', ...rest] = labels;
  const ports = /^\d{1,5}$/.test(first) ? names.get(rest.join('.')) : undefined;
  if (ports) {
    const to = ports.find(({ inside }) => inside === Number(first));
    return to ? { to } : { status: 404, problem: `${rest.join('.')} publishes no port ${first}${portList(ports)}` };
  }
  const all = [...names.keys()].slice(0, 50).map((known) => `${known}.${SUFFIX}`);
  const others = all.length === 0 ? 'there are none' : `there are: ${all.join(', ')}`;
  const problem =
    name === '' ? others : `no stack or container ${JSON.stringify(name.slice(0, 100))} publishes a port; ${others}`;
  return { status: 404, problem };
}

function chosen(ports: readonly RoutedPort[], scheme: Scheme): Route {
  for (const wanted of PREFERRED[scheme]) {
    const to = ports.find(({ inside }) => inside === wanted);
    if (to) return { to };
  }
  const [lowest] = [...ports].sort((a, b) => a.inside - b.inside);
  if (lowest) return { to: lowest };
  return { status: 404, problem: 'it publishes no port' };
}

function portList(ports: readonly RoutedPort[]): string {
  const all = ports.slice(0, 50).map(({ inside }) => inside);
  return all.length === 0 ? '' : `; it has ${all.join(', ')}`;
}

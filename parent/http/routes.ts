/**
 * What `NAME.localhost` means: the published TCP ports of this user's stacks and their containers. The APIs of the stacks are
 * asked, this one's included, when a request comes and what is known is older than FRESH_MS.
 */
import type { StackRecord } from '../../protocol/state/stack-record.js';
import { findStacks } from '../stack-discovery/running.js';
import { namesOf, type RoutedPort, StackNames } from './stack-names.js';

const FRESH_MS = 500;
const SUFFIX = 'localhost';

/** Ports inside that are taken first, where a name has several. */
const PREFERRED = { http: [80, 8080, 3000, 8000, 5173, 5000], tls: [443, 8443] };

export type Scheme = keyof typeof PREFERRED;

export type Route =
  | { to: RoutedPort }
  /** Why there is none, in one line. */
  | { problem: string; status: 404 | 421 };

export type PortsByName = ReadonlyMap<string, readonly RoutedPort[]>;

export class Routes {
  #known: Promise<PortsByName> | undefined;
  #since = Number.NEGATIVE_INFINITY;
  /** By name and path of the API's socket. */
  #stacks = new Map<string, StackNames>();

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
    this.#stacks = new Map(
      running.map((stack) => {
        const key = JSON.stringify([stack.name, stack.socket]);
        return [key, this.#stacks.get(key) ?? new StackNames(() => namesOf(stack))];
      }),
    );
    const all = await Promise.all([...this.#stacks.values()].map((stack) => stack.get()));
    const names = new Map<string, readonly RoutedPort[]>();
    // Of two with one name the first has it. Stacks before containers: these are named by what is inside.
    for (const [name, ports] of [...all.map(({ own }) => own), ...all.map(({ containers }) => containers)].flat()) {
      if (!names.has(name)) names.set(name, ports);
    }
    return names;
  }

  #isOwn({ stateDir }: StackRecord): boolean {
    return stateDir === this.own.stateDir;
  }
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

/** The names that one stack gives to published TCP ports: its own, and those of its containers. */
import { isContainerReport, isListOf, isPortReport } from '../../protocol/api/report-shapes.js';
import { reachableIP } from '../../protocol/ports/rootlesskit-json.js';
import type { StackRecord } from '../../protocol/state/stack-record.js';
import { StackClient } from '../client/stack-client.js';

/** For one request of a stack's API, in ms. */
const DEADLINE_MS = 2_000;
/** A stack that takes longer is not waited for the next time, in ms. */
const SLOW_MS = 1_000;

/** A published port: where it is on the host, and its number inside. */
export interface RoutedPort {
  host: string;
  port: number;
  inside: number;
}

type Named = readonly [name: string, ports: readonly RoutedPort[]];

export interface NamedPorts {
  /** One at most. */
  own: readonly Named[];
  containers: readonly Named[];
}

const NONE: NamedPorts = { own: [], containers: [] };

/** Asks one stack again and again. One that hangs delays requests for the names of others once only. */
export class StackNames {
  #last = NONE;
  #asking: Promise<void> | undefined;
  #isSlow = false;

  constructor(
    private readonly read: () => Promise<NamedPorts>,
    private readonly slowMs = SLOW_MS,
  ) {}

  /** What there is now, or what there was if the stack took long to answer the last time. */
  async get(): Promise<NamedPorts> {
    this.#asking ??= this.#ask();
    if (!this.#isSlow) await this.#asking;
    return this.#last;
  }

  async #ask(): Promise<void> {
    const begin = performance.now();
    this.#last = await this.read().catch(() => NONE);
    this.#isSlow = performance.now() - begin >= this.slowMs;
    this.#asking = undefined;
  }
}

/** Throws where the stack does not answer. */
export async function namesOf({ name, socket }: StackRecord): Promise<NamedPorts> {
  const client = new StackClient(socket);
  const ports = await client.call('GET', '/v1/ports', undefined, DEADLINE_MS);
  const routed = new Map<string, RoutedPort[]>();
  for (const { spec, container = '' } of isListOf(isPortReport)(ports) ? ports : []) {
    if (!spec.proto.startsWith('tcp')) continue;
    const port = { host: reachableIP(spec), port: spec.parentPort, inside: spec.childPort };
    const others = routed.get(container);
    if (others) others.push(port);
    else routed.set(container, [port]);
  }
  const own = routed.get('');
  routed.delete('');
  return {
    own: name !== undefined && own ? [[name.toLowerCase(), own]] : [],
    containers: routed.size > 0 ? await containersOf(client, routed) : [],
  };
}

/** None where the agent, which names them, does not answer. */
async function containersOf(client: StackClient, routed: ReadonlyMap<string, readonly RoutedPort[]>): Promise<Named[]> {
  const list = await client.call('GET', '/v1/containers', undefined, DEADLINE_MS).catch(() => undefined);
  return (isListOf(isContainerReport)(list) ? list : []).flatMap(({ id, name }): Named[] => {
    const ports = routed.get(id);
    return ports ? [[name.toLowerCase(), ports]] : [];
  });
}

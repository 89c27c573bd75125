/**
 * The parent's side of running containers: the agent does the work (child/container/), and requests from here what only
 * the host's side can do.
 *
 * Theory of operation. off → requested (an agent runs or starts, and gets the configuration) → ready (it serves its part of
 * the API on agent.sock) → off again where the agent is lost; the next one gets the configuration as soon as it is ready.
 * Requests of the agent are validated, and answered one by one. It is not trusted with more than the API gives every
 * process in the namespaces: publishing ports.
 */

import { existsSync } from 'node:fs';
import { isContainerReport, isListOf } from '../../protocol/api/report-shapes.js';
import type { ContainerEvent, NetworkDriverInfo } from '../../protocol/api/types.js';
import type { OverlayName } from '../../protocol/overlay/types.js';
import { mappingOf } from '../../protocol/ports/cni-json.js';
import type { PortMapping } from '../../protocol/ports/port-mapping.js';
import { statePath } from '../../protocol/state/state-layout.js';
import type {
  AgentRequest,
  AgentRequests,
  AutoPortsRequest,
  ContainersConfig,
  HostAspect,
  Message,
} from '../../protocol/wire/messages.js';
import type { PublishedNames } from '../../protocol/wire/published-names.js';
import type { QueryReport } from '../../protocol/wire/query-reports.js';
import type { AgentSupervisor } from '../agent/agent.js';
import type { ContainerPolicies } from '../egress/container-policies.js';
import type { RateLimits } from '../egress/rate-limit.js';
import { ContainersError, errorText, printable } from '../errors.js';
import type { HostReach } from '../network/host/gateway.js';
import { hostNetworks, stackNetworks } from '../network/host/networks.js';
import type { StackAutoPorts } from '../port/auto/stack-auto-ports.js';
import type { PortDriver } from '../port/driver.js';
import type { ActivatedSockets } from '../systemd/activated-sockets.js';
import { type Deferred, deferred, within } from './deferred.js';
import { AgentEvents } from './events.js';
import { hostInfo } from './host-info.js';
import { PortReservations } from './port-reservations.js';
import { endSurvivors } from './survivors.js';

/**
 * Limits of the agent's pending requests, in number and bytes. Hundreds of containers that start together stay far below;
 * an agent that exceeds them is replaced.
 */
const MAX_REQUESTS = 1024;
const MAX_REQUEST_BYTES = 8 * 1024 * 1024;

/**
 * How long containers may take to end before they are killed, and the agent for all of it, in ms: a stack ends within two
 * seconds.
 */
const STOP_GRACE = 1000;
const STOP_TIMEOUT = 1500;

/** Delay before a change of the host is reported, in ms: a VPN that comes up adds its routes one by one. */
const HOST_SETTLE_MS = 500;

/** How long the agent may take to get ready, restoring what an earlier run has left included, in ms. */
const READY_TIMEOUT = 60_000;

/** How long the agent may take to count the running containers, in ms. */
const COUNT_TIMEOUT = 5_000;

type Answers = { [Name in AgentRequest]: (params: unknown) => Promise<AgentRequests[Name]['result']> };

export interface ContainerServiceDeps {
  agent: AgentSupervisor;
  ports: {
    driver: PortDriver | undefined;
    sockets?: ActivatedSockets | undefined;
    auto?: StackAutoPorts | undefined;
  };
  network: () => NetworkDriverInfo | undefined;
  hostReach: HostReach;
  /** Policies of containers, and whether the stack has one itself; undefined where the network has none. */
  policies: { containers: ContainerPolicies; limits: RateLimits; stack: { readonly active: boolean } } | undefined;
  config: ContainersConfig;
  emit: (event: ContainerEvent) => void;
  warn: (line: string) => void;
}

export class ContainerService {
  /** Called when an agent begins to serve containers. */
  readonly onReady: (() => void)[] = [];
  /** Gets the names of containers on an overlay network. */
  onOverlayNames: (network: string, names: OverlayName[]) => void = () => {};
  /** Gets the names of containers on all networks, if that was configured (publishNames). */
  onNames: (names: PublishedNames) => void = () => {};
  /** Gets queries that the agent's DNS servers have answered, while they are wanted. */
  onQueries: (reports: readonly QueryReport[]) => void = () => {};
  /** Called when ports of containers were published or closed. */
  readonly onPublished: (() => void)[] = [];
  #watchesQueries = false;
  readonly #ports: PortReservations;
  readonly #events: AgentEvents;
  #ready: Deferred | undefined;
  #counted: ((count: number) => void)[] = [];
  #stopped: (() => void) | undefined;
  #closed = false;
  readonly #changed = new Map<HostAspect, NodeJS.Timeout>();
  /** Whether containers may exist … */
  #served = false;
  /** … and an agent that can stop them. */
  #serving = false;
  /** Requests are answered in their order. */
  #queue: Promise<void> = Promise.resolve();
  /** Pending requests of this agent; the next one has its own counts, and gets no replies to its predecessor's requests. */
  #queued = { requests: 0, bytes: 0 };

  constructor(private readonly deps: ContainerServiceDeps) {
    const { agent, ports } = deps;
    this.#events = new AgentEvents(deps.emit);
    this.#ports = new PortReservations(ports.driver, ports.sockets, () => {
      for (const listener of this.onPublished) listener();
    });
    agent.onMessage = (message, bytes) => this.#onMessage(message, bytes);
    agent.onState.push((state, reason) => {
      if (state === 'ready' && this.#ready) this.deps.agent.send({ type: 'containers', config: this.deps.config });
      if (state === 'lost') this.#queued = { requests: 0, bytes: 0 };
      if (state === 'lost') this.#serving = false;
      if (state === 'lost' && this.#ready) {
        this.#ready.reject(new ContainersError(`the agent was lost (${reason}); try again`));
        // The next one gets the configuration; requests of the API wait for it.
        this.#ready = deferred();
      }
    });
    agent.onGone.push(() => {
      this.#ready?.reject(new ContainersError('the namespaces have ended'));
      this.#ready = undefined;
      this.#stopped?.();
    });
  }

  /**
   * The socket on which the agent serves its part of the API. Where the state directory is on a file system that is now
   * mounted only inside, as $XDG_RUNTIME_DIR after a logout, the path leads through /proc/PID/root (proc(5)).
   */
  get socketPath(): string {
    const path = statePath(this.deps.config.stateDir, 'agentSocket');
    const inside = `/proc/${this.deps.agent.root}/root${path}`;
    return !existsSync(path) && existsSync(inside) ? inside : path;
  }

  /** Whether an agent answers requests about containers now. */
  get serving(): boolean {
    return this.#serving;
  }

  get dataDir(): string {
    return this.deps.config.dataDir;
  }

  /** Whether the agent's socket is where it should be, once there has to be one. */
  isInPlace(): boolean {
    return !this.#serving || existsSync(this.socketPath);
  }

  /** Has the agent recreate what is missing of its part of the state directory. */
  renew(): void {
    if (!this.#serving) return;
    // Requests wait for it.
    this.#ready = deferred();
    this.deps.agent.send({ type: 'containers', config: this.deps.config });
  }

  /** Resolves when the agent serves containers; starts it if need be. Throws ContainersError and AgentError. */
  async ready(): Promise<void> {
    if (this.#closed) throw new ContainersError('the stack is ending');
    // Held here: this.#ready may be replaced or removed while it is awaited.
    const { promise } = this.#ready ?? this.#begin();
    await within(
      promise,
      READY_TIMEOUT,
      () => new ContainersError(`the agent does not run containers yet, after ${READY_TIMEOUT / 1000} s; try again`),
    );
  }

  /** Has the agent run containers, and starts it if need be. */
  #begin(): Deferred {
    const waiting = deferred();
    this.#ready = waiting;
    // A later 'ready' event sends it otherwise.
    if (this.deps.agent.state === 'ready') this.deps.agent.send({ type: 'containers', config: this.deps.config });
    this.deps.agent.start().catch((error: unknown) => {
      if (this.#ready === waiting) this.#ready = undefined;
      waiting.reject(error instanceof Error ? error : new ContainersError(String(error)));
    });
    return waiting;
  }

  /** Containers that run, as the agent reports them; none where that does not answer at once. */
  async running(): Promise<{ id: string; name: string; pid: number }[]> {
    const list = await this.ask('/v1/containers', isListOf(isContainerReport));
    return (list ?? []).flatMap(({ id, name, pid }) => (pid === undefined ? [] : [{ id, name, pid }]));
  }

  /** What the agent answers to a GET; undefined where it does not at once, or not as expected. */
  async ask<T>(path: string, test: (value: unknown) => value is T): Promise<T | undefined> {
    return this.#serving ? (await import('./agent-api.js')).askAgent(this.socketPath, path, test) : undefined;
  }

  /** How many containers run, or are about to; undefined if the agent does not answer. */
  async inUse(): Promise<number | undefined> {
    if (!this.#ready) return 0;
    if (!this.#serving) return undefined;
    const answer = new Promise<number | undefined>((resolve) => {
      this.#counted.push(resolve);
      setTimeout(() => resolve(undefined), COUNT_TIMEOUT).unref();
    });
    this.deps.agent.send({ type: 'containers-use' });
    return answer;
  }

  /** Whether the agent reports queries for names. */
  watchQueries(wanted: boolean): void {
    this.#watchesQueries = wanted;
    if (this.#serving) this.deps.agent.send({ type: 'watch-queries', wanted });
  }

  /** The published ports of a container, by its id. */
  publishedBy(owner: string): PortMapping[] {
    return this.#ports.publishedBy(owner);
  }

  /** Whether the published port is a container's. */
  hasPort(id: number): boolean {
    return this.#ports.has(id);
  }

  /** Notifies the agent of a change on the host, where it serves containers; it reads all when it begins to. */
  hostChanged(what: HostAspect): void {
    if (!this.#serving) return;
    const under = this.#changed.get(what);
    if (under) return;
    // Several changes are reported as one.
    this.#changed.set(
      what,
      setTimeout(() => {
        this.#changed.delete(what);
        if (this.#serving && !this.#closed) this.deps.agent.send({ type: 'host-changed', what });
      }, HOST_SETTLE_MS).unref(),
    );
  }

  /** Stops all containers, where there may be any, kills those that take too long, and closes their ports. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#served && this.#ready) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, STOP_TIMEOUT);
        this.#stopped = () => {
          clearTimeout(timer);
          resolve();
        };
        // Otherwise when the next agent is ready.
        if (this.#serving) this.#stop();
      });
    }
    this.#ready?.reject(new ContainersError('the stack is ending', true));
    this.#ready = undefined;
    await this.#ports.close();
  }

  #stop(): void {
    this.deps.agent.send({ type: 'containers-stop', timeout: STOP_GRACE });
  }

  #onMessage(message: Message, bytes: number): void {
    switch (message.type) {
      case 'containers-ready':
        this.#served = true;
        this.#serving = true;
        this.#ready?.resolve();
        if (this.#watchesQueries) this.deps.agent.send({ type: 'watch-queries', wanted: true });
        if (this.#closed) this.#stop();
        else for (const listener of this.onReady) listener();
        break;
      case 'containers-failed': {
        const error = new ContainersError(printable(message.text), true);
        this.deps.warn(`containers cannot be run: ${error.message}`);
        this.#ready?.reject(error);
        this.#ready = undefined;
        break;
      }
      case 'containers-used':
        for (const resolve of this.#counted.splice(0)) resolve(message.count);
        break;
      case 'containers-stopped':
        this.#stopped?.();
        break;
      case 'event':
        this.#events.onEvent(message.event);
        break;
      case 'request':
        this.#enqueue(message, bytes);
        break;
    }
  }

  #enqueue({ id, name, params }: Extract<Message, { type: 'request' }>, bytes: number): void {
    const queued = this.#queued;
    if (queued.requests >= MAX_REQUESTS || queued.bytes + bytes > MAX_REQUEST_BYTES) {
      this.deps.agent.replace(`it has ${queued.requests} requests under way, of ${queued.bytes} bytes`);
      return;
    }
    queued.requests++;
    queued.bytes += bytes;
    this.#queue = this.#queue.then(async () => {
      if (queued !== this.#queued) return;
      const reply = await this.#handleRequest(name, params).then(
        (result): Message => ({ type: 'reply', id, result }),
        (error: unknown): Message => ({ type: 'reply', id, error: errorText(error) }),
      );
      queued.requests--;
      queued.bytes -= bytes;
      if (queued === this.#queued) this.deps.agent.send(reply);
    });
  }

  async #handleRequest(name: string, params: unknown): Promise<unknown> {
    const answers: Answers = {
      'host-info': async () =>
        hostInfo(this.deps.network(), this.deps.hostReach, this.deps.policies?.stack.active ?? false),
      'host-networks': async () => ({ networks: [...stackNetworks(this.deps.network()), ...hostNetworks()] }),
      'ports-reserve': async (given) => {
        const { owner, ranges } = (await schemas()).parseReservation(given);
        return { hostPorts: await this.#ports.reserve(owner, ranges.map(mappingOf)) };
      },
      'ports-activate': async (given) => {
        const { owner, childIP } = (await schemas()).parseActivation(given);
        await this.#ports.activate(owner, childIP);
        return {};
      },
      'ports-auto': async (given) => {
        await beginAutoPorts(this.deps.ports, (await schemas()).parseAutoPorts(given));
        return {};
      },
      'ports-release': async (given) => {
        const { owner } = (await schemas()).parseOwner(given);
        await Promise.all([this.#ports.release(owner), this.deps.ports.auto?.end(owner)]);
        return {};
      },
      'survivors-end': async (given) => {
        return { living: await endSurvivors((await schemas()).parseSurvivors(given).survivors) };
      },
      'published-names': async (given) => {
        this.onNames((await schemas()).parsePublishedNames(given));
        return {};
      },
      'dns-queries': async (given) => {
        this.onQueries((await schemas()).parseQueryReports(given).queries);
        return {};
      },
      'overlay-names': async (given) => {
        const { network, names } = (await schemas()).parseOverlayNames(given);
        this.onOverlayNames(network, names);
        return {};
      },
      'ports-owners': async () => ({
        owners: [...new Set([...this.#ports.owners(), ...((await this.deps.ports.auto?.containers()) ?? [])])],
      }),
      'egress-policy': async (given) => {
        const { key, rules } = (await schemas()).parsePolicy(given);
        this.#policies().containers.setPolicy(key, rules);
        return {};
      },
      'egress-set': async (given) => {
        const container = (await schemas()).parsePolicedContainer(given);
        const { containers, limits } = this.#policies();
        containers.set(container);
        limits.cover(this.deps.ports.driver?.list().filter((port) => port.container === container.id) ?? []);
        return {};
      },
      'egress-dropped': async (given) => {
        const { owner } = (await schemas()).parseOwner(given);
        return { dropped: this.deps.policies?.limits.droppedOf(owner) };
      },
      'egress-remove': async (given) => {
        this.deps.policies?.containers.remove((await schemas()).parseOwner(given).owner);
        return {};
      },
      'egress-ids': async () => ({ ids: this.deps.policies?.containers.ids() ?? [] }),
      'egress-report': async (given) => {
        const { id, key } = (await schemas()).parsePolicyOf(given);
        return { report: this.deps.policies?.containers.report(id, key) };
      },
    };
    if (!Object.hasOwn(answers, name)) throw new ContainersError(`unknown request of the agent: ${printable(name)}`);
    return answers[name as AgentRequest](params);
  }

  /** Throws ContainersError. */
  #policies(): NonNullable<ContainerServiceDeps['policies']> {
    const { policies, network } = this.deps;
    if (policies) return policies;
    throw new ContainersError(
      `the network driver ${network()?.driver ?? 'host'} cannot enforce egress policies; hint: start the stack with --net=builtin`,
    );
  }
}

/** Throws ContainersError, PortError and PortMappingError. */
async function beginAutoPorts(
  { auto, driver }: ContainerServiceDeps['ports'],
  request: AutoPortsRequest,
): Promise<void> {
  if (auto) return auto.watchContainer(request);
  throw new ContainersError(
    `the port driver ${driver?.info.driver ?? 'none'} cannot publish what listens in containers; hint: start the stack with --port-driver=builtin`,
  );
}

/** Loaded at the first container's request: zod takes long to load. */
const schemas = () => import('./request-schemas.js');

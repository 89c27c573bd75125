/**
 * The parent's side of running containers: the agent does the work (child/container/), and requests from here what only
 * the host's side can do.
 *
 * Theory of operation. off → requested (an agent runs or starts, and gets the configuration) → ready (it serves its part of
 * the API on agent.sock) → off again where the agent is lost; the next one gets the configuration as soon as it is ready.
 * Requests of the agent are answered one by one (agent-requests.ts).
 */

import { existsSync } from 'node:fs';
import { isContainerReport, isListOf } from '../../protocol/api/report-shapes.js';
import type { ContainerEvent } from '../../protocol/api/types.js';
import type { PortMapping } from '../../protocol/ports/port-mapping.js';
import { statePath } from '../../protocol/state/state-layout.js';
import type { ContainersConfig, HostAspect, Message } from '../../protocol/wire/messages.js';
import type { AgentSupervisor } from '../agent/agent.js';
import { ContainersError, errorText, printable } from '../errors.js';
import { AgentRequestHandler, type HostSide, type ReportReceiver } from './agent-requests.js';
import { type Deferred, deferred, within } from './deferred.js';
import { AgentEvents } from './events.js';
import { PortReservations } from './port-reservations.js';

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

export interface ContainerServiceDeps extends HostSide {
  agent: AgentSupervisor;
  config: ContainersConfig;
  emit: (event: ContainerEvent) => void;
  warn: (line: string) => void;
}

export class ContainerService implements ReportReceiver {
  /** Called when an agent begins to serve containers. */
  readonly onReady: (() => void)[] = [];
  onOverlayNames: ReportReceiver['onOverlayNames'] = () => {};
  onNames: ReportReceiver['onNames'] = () => {};
  onQueries: ReportReceiver['onQueries'] = () => {};
  /** Called when ports of containers were published or closed. */
  readonly onPublished: (() => void)[] = [];
  #watchesQueries = false;
  readonly #ports: PortReservations;
  readonly #requests: AgentRequestHandler;
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
    this.#requests = new AgentRequestHandler({ ...deps, reservations: this.#ports, receiver: this });
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
      const reply = await this.#requests.handle(name, params).then(
        (result): Message => ({ type: 'reply', id, result }),
        (error: unknown): Message => ({ type: 'reply', id, error: errorText(error) }),
      );
      queued.requests--;
      queued.bytes -= bytes;
      if (queued === this.#queued) this.deps.agent.send(reply);
    });
  }
}

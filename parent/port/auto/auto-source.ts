/**
 * The automatic ports of the stack's own namespace, or of a container: opened for what listens there, and closed when that
 * ends.
 *
 * Theory of operation. Each report of the agent has all listeners. Reports that arrive while one is being carried out replace
 * each other, and two are at least REST_MS apart, and REST_FACTOR times as long as one takes, so a program that opens and closes ports in a loop costs little. A port that
 * cannot be opened is tried again every RETRY_MS while it is listened on; the reason is logged once.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type AutoPublish, isMeant, type Listener, MAX_AUTO_PORTS, urlOf } from '../../../protocol/ports/auto.js';
import { formatHost } from '../../../protocol/ports/grammar.js';
import type { PortMapping, PublishedPort } from '../../../protocol/ports/port-mapping.js';
import { errorText } from '../../errors.js';
import type { PortDriver } from '../driver.js';
import { PortBindError, PortError, UnknownPortError } from '../errors.js';
import { openListeners } from '../listen.js';

const REST_MS = 50;
const REST_FACTOR = 5;
const RETRY_MS = 2_000;
/** Ports that the host does not let a user have are published under a number that is larger by the first of these that is free. */
const PRIVILEGED_OFFSETS = [8_000, 18_000];
/** The first port that every user may have (ip(7), ip_unprivileged_port_start); the host may let them have lower ones. */
const FIRST_UNPRIVILEGED = 1024;
/** Different lines that are logged in all. */
const MAX_LINES = 200;

export interface AutoSourceDeps {
  driver: PortDriver;
  log: { info: (line: string) => void; warn: (line: string) => void };
  /** Names of the programs that have sockets, by inode; finds what it can in a short time. */
  programs: (inodes: ReadonlySet<number>) => Promise<ReadonlyMap<number, string>>;
}

export interface AutoSourceOptions {
  rules: readonly AutoPublish[];
  /** Where the rules name no address. */
  ip: string;
  /** Id of the container, with its name and the address that its ports lead to; absent for the stack's own namespace. */
  container?: { id: string; name: string; ip: string } | undefined;
}

/** A listener that is to be published, and where. */
interface Wanted {
  key: string;
  listener: Listener;
  mapping: PortMapping;
}

export class AutoSource {
  readonly #published = new Map<string, PublishedPort>();
  /** That a user has removed, until nothing listens there any more. */
  readonly #dismissed = new Set<string>();
  readonly #logged = new Set<string>();
  #latest: readonly Listener[] | undefined;
  #applying: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  readonly #ending = new AbortController();

  constructor(
    private readonly deps: AutoSourceDeps,
    private readonly options: AutoSourceOptions,
  ) {}

  /** @param listeners all there are now */
  update(listeners: readonly Listener[]): void {
    if (this.#ending.signal.aborted) return;
    this.#latest = listeners;
    this.#applying ??= this.#applyAll();
  }

  /** Resolves when its ports are closed. */
  async close(): Promise<void> {
    this.#ending.abort();
    clearTimeout(this.#retry);
    await this.#applying;
    await Promise.all([...this.#published.values()].map((port) => this.#remove(port)));
    this.#published.clear();
  }

  async #applyAll(): Promise<void> {
    while (this.#latest && !this.#ending.signal.aborted) {
      const listeners = this.#latest;
      this.#latest = undefined;
      const begin = performance.now();
      await this.#apply(listeners).catch((error: unknown) => this.#warn(errorText(error)));
      // Looking for programs takes long where there are thousands of processes.
      const rest = Math.max(REST_MS, REST_FACTOR * (performance.now() - begin));
      await delay(rest, undefined, { signal: this.#ending.signal }).catch(() => {});
    }
    this.#applying = undefined;
  }

  async #apply(listeners: readonly Listener[]): Promise<void> {
    clearTimeout(this.#retry);
    const existing = this.deps.driver.list();
    const wanted = new Map(this.#wanted(listeners, existing).map((one) => [one.key, one]));
    const ids = new Set(existing.map(({ id }) => id));
    for (const [key, port] of [...this.#published]) {
      if (wanted.has(key) && ids.has(port.id)) continue;
      this.#published.delete(key);
      if (!ids.has(port.id)) this.#dismissed.add(key);
      else await this.#remove(port);
    }
    for (const key of [...this.#dismissed]) if (!wanted.has(key)) this.#dismissed.delete(key);
    const isMissing = ({ key }: Wanted) => !this.#published.has(key) && !this.#dismissed.has(key);
    for (const one of [...wanted.values()].filter(isMissing)) await this.#makeRoom(one.mapping);
    const missing = [...wanted.values()].filter(isMissing).sort(ownNumbersFirst);
    const room = MAX_AUTO_PORTS - this.#published.size;
    if (missing.length > room) {
      this.#warn(`more than ${MAX_AUTO_PORTS} ports are listened on${this.#where()}; the others are not published`);
    }
    const failed = await this.#publishAll(missing.slice(0, room));
    if (failed) this.#retry = setTimeout(() => this.update(this.#latest ?? listeners), RETRY_MS).unref();
  }

  /** A port that has that number on the host for want of its own gives way to the one that has it inside. */
  async #makeRoom({ host, transport }: PortMapping): Promise<void> {
    for (const [key, port] of this.#published) {
      const isThere = port.transport === transport && port.host.ip === host.ip && port.host.port === host.port;
      if (!isThere || port.target.port === host.port) continue;
      this.#published.delete(key);
      await this.#remove(port);
    }
  }

  /** Resolves with whether some could not be published. */
  async #publishAll(wanted: readonly Wanted[]): Promise<boolean> {
    if (wanted.length === 0) return false;
    const programs = await this.deps.programs(new Set(wanted.map(({ listener }) => listener.inode)));
    let failed = false;
    for (const one of wanted) {
      if (this.#ending.signal.aborted) return false;
      const published = await this.#publish(one, programs.get(one.listener.inode));
      failed ||= !published;
    }
    return failed;
  }

  async #publish({ key, listener, mapping }: Wanted, program: string | undefined): Promise<boolean> {
    try {
      const { fds, mapping: opened } = openPort(mapping);
      const auto = program === undefined ? {} : { program };
      const container = this.options.container?.id;
      const port = await this.deps.driver.adopt?.(fds, opened, { auto, container });
      if (!port) return false;
      this.#published.set(key, port);
      this.#info(port, listener, program);
      return true;
    } catch (error) {
      if (!(error instanceof PortError)) throw error;
      this.#warn(`port ${listener.port}/${listener.transport}${this.#where()} is not published: ${errorText(error)}`);
      return false;
    }
  }

  async #remove({ id, count }: PublishedPort): Promise<void> {
    await this.deps.driver.remove(id, count).catch((error: unknown) => {
      // A user has removed it at the same time.
      if (!(error instanceof UnknownPortError)) throw error;
    });
  }

  #wanted(listeners: readonly Listener[], existing: readonly PublishedPort[]): Wanted[] {
    const { container, ip, rules } = this.options;
    return listeners.flatMap((listener) => {
      const rule = rules.find((one) => isMeant(one, listener));
      const target = { ip: listener.ip === '' ? (container?.ip ?? '') : listener.ip, port: listener.port };
      const asked = existing.some((port) => port.container === container?.id && leadsThere(port, listener));
      if (!rule || asked) return [];
      const host = { ip: rule.ip === '' ? ip : rule.ip, port: listener.port };
      const mapping: PortMapping = { transport: listener.transport, host, target, count: 1 };
      return [{ key: `${listener.transport} ${target.ip} ${target.port}`, listener, mapping }];
    });
  }

  #where(): string {
    const { container } = this.options;
    return container ? ` in the container ${container.name}` : '';
  }

  #info({ host, transport }: PublishedPort, { port }: Listener, program: string | undefined): void {
    const who = program === undefined ? '' : ` (${program})`;
    const at = transport === 'tcp' ? urlOf(host) : `${formatHost({ transport, host, target: host, count: 1 })}`;
    this.#logOnce(
      'info',
      `port ${port}/${transport}${who}${this.#where()} is published at ${at}`,
      `${port}/${transport} ${host.port}`,
    );
  }

  #warn(line: string): void {
    this.#logOnce('warn', line, line);
  }

  /** @param about once for each of these */
  #logOnce(level: 'info' | 'warn', line: string, about: string): void {
    const key = `${level} ${about}`;
    if (this.#logged.has(key) || this.#logged.size >= MAX_LINES) return;
    this.#logged.add(key);
    this.deps.log[level](line);
  }
}

function ownNumbersFirst({ listener: a }: Wanted, { listener: b }: Wanted): number {
  return Number(a.port < FIRST_UNPRIVILEGED) - Number(b.port < FIRST_UNPRIVILEGED);
}

/** Throws PortError. */
function openPort(mapping: PortMapping): ReturnType<typeof openListeners> {
  const { host } = mapping;
  let refused: PortBindError | undefined;
  for (const offset of [0, ...PRIVILEGED_OFFSETS]) {
    try {
      return openListeners({ ...mapping, host: { ...host, port: host.port + offset } });
    } catch (error) {
      const wanted = offset === 0 ? 'EACCES' : 'EADDRINUSE';
      if (!(error instanceof PortBindError && error.errno === wanted)) throw error;
      refused = error;
    }
  }
  throw refused;
}

/** Whether a port that was asked for leads to the same server, in the same namespace. */
function leadsThere({ auto, container, count, target, transport }: PublishedPort, listener: Listener): boolean {
  const offset = listener.port - target.port;
  const sameAddress = container !== undefined || target.ip === '' || target.ip === listener.ip;
  return auto === undefined && transport === listener.transport && sameAddress && offset >= 0 && offset < count;
}

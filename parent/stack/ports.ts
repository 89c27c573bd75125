/** Step of the start: all that publishes ports of the stack, except those of containers. */
import { native } from '../../native/index.js';
import { protocolName } from '../../protocol/ports/port-mapping.js';
import { statePath } from '../../protocol/state/state-layout.js';
import type { AgentSupervisor } from '../agent/agent.js';
import type { EventBus } from '../api/event-bus.js';
import type { RateLimits } from '../egress/rate-limit.js';
import type { EngineHost } from '../engine/engine-host.js';
import { errorText } from '../errors.js';
import { outboundEvent } from '../flows/outbound-event.js';
import type { Launcher } from '../namespaces/launcher.js';
import type { Network } from '../network/driver.js';
import { StackAutoPorts } from '../port/auto/stack-auto-ports.js';
import type { PortDriver } from '../port/driver.js';
import { PortListError } from '../port/errors.js';
import { createPortDriver } from '../port/index.js';
import { PersistentPorts } from '../port/persistent-ports.js';
import { WaitingPorts } from '../port/waiting-ports.js';
import type { StateDir } from '../state/state-dir.js';
import { ActivatedSockets } from '../systemd/activated-sockets.js';
import type { StackLog, StackOptions, StartContext } from './options.js';

export interface StackPortsDeps {
  agent: AgentSupervisor;
  engineHost: EngineHost;
  events: EventBus;
  launcher: Launcher;
  /** Rate limits; undefined where the network cannot have any. */
  limits: RateLimits | undefined;
  network: Network;
  /** Path of the stack's network namespace where that is detached. */
  netns: string | undefined;
  stateDir: StateDir;
}

export class StackPorts {
  /** Undefined if ports cannot be published: with the port drivers `none` and `implicit`. */
  readonly driver: PortDriver | undefined;
  /** Undefined if the stack has no file of persistent ports. */
  readonly persistent: PersistentPorts | undefined;
  /** Persistent ports that cannot be published yet. */
  readonly waiting: WaitingPorts | undefined;
  /** Publishes what listens inside; undefined if the port driver cannot. */
  readonly auto: StackAutoPorts | undefined;
  /** Sockets that systemd has opened. */
  readonly sockets: ActivatedSockets | undefined;
  readonly #options: StackOptions;
  readonly #log: StackLog;

  constructor({ options, log, undo }: StartContext, deps: StackPortsDeps) {
    const { agent, engineHost, events, limits, network } = deps;
    this.#options = options;
    this.#log = log;
    const driver = createPortDriver(options.portDriver, {
      engine: engineHost,
      agent,
      emit: (event) => {
        if (event.type === 'port-added') limits?.cover([event.ports]);
        events.emit(event);
      },
      ...driverSettings(options, deps),
    });
    this.driver = driver;
    if (driver) undo.push('close the published ports', () => driver.close());
    // Also for connections out of the namespaces, which need no port driver.
    events.onWatched = (watched) => (driver ?? engineHost.engine).watchConnections(watched);
    engineHost.onOutbound = (event) => events.emit(outboundEvent(event));
    network.onRestored?.(() => {
      driver?.restore?.().catch((error: unknown) => log.warn(errorText(error)));
    });

    if (options.persistentPorts !== undefined) this.persistent = new PersistentPorts(options.persistentPorts);
    if (this.persistent && driver) {
      const waiting = new WaitingPorts({
        driver,
        watchAddresses: (listener) => engineHost.watchAddresses(listener),
        emit: (event) => events.emit(event),
        log,
      });
      this.waiting = waiting;
      undo.push('stop retrying ports', () => waiting.close());
    }
    if (driver?.adopt) {
      const { autoAddresses: addresses } = options;
      const { launcher, netns } = deps;
      const auto = new StackAutoPorts({
        addresses,
        agent,
        driver,
        log,
        name: nameOf(options),
        netns,
        root: launcher.pid,
      });
      this.auto = auto;
      undo.push('stop publishing what listens inside', () => auto.close());
    }
    this.sockets = activatedSockets(options, driver, log);
    undo.push('close the sockets of systemd', () => this.sockets?.close());
  }

  /** Publishes everything that the stack starts with. Throws PortError. */
  async publish(): Promise<void> {
    const { publish } = this.#options;
    const ports = publish.length > 0 ? await this.driver?.addAll(publish).catch(withoutList) : [];
    for (const [index, mapping] of publish.entries()) {
      const port = ports?.[index];
      if (port && mapping.host.port === 0) {
        const { host, target } = port;
        this.#log.info(`published ${host.ip || '*'}:${host.port} to ${target.port}/${protocolName(port)}`);
      }
    }
    await this.sockets?.publish();
    await this.publishPersistent();
    if (this.auto && this.#options.autoPublish) await this.auto.watchStack(this.#options.autoPublish);
  }

  /** Publishes the ports of the file of persistent ports that are not published yet; those that cannot be now wait. */
  async publishPersistent(): Promise<void> {
    if (!this.persistent || !this.waiting) return;
    try {
      await this.waiting.publish(await this.persistent.load());
    } catch (error) {
      this.#log.warn(errorText(error));
    }
  }
}

/** Nothing else is added, either, so the error need not name the rest of the list. */
function withoutList(error: unknown): never {
  throw error instanceof PortListError ? error.cause : error;
}

/** How the port drivers relay, bypass and forward ports of this stack. */
function driverSettings(options: StackOptions, { launcher, network, stateDir }: StackPortsDeps) {
  const { childIP } = network.info ?? {};
  const standsIn = options.rootlesskit?.ports !== undefined;
  return {
    relay: {
      keepSource: options.keepSource,
      oneFamily: standsIn,
      ...(standsIn && childIP !== undefined && { arriveAt: childIP }),
    },
    bypass: {
      root: launcher.pid,
      childIP: childIP ?? '',
      hostLoopback: options.network.hostLoopback,
      outbound: options.bypass?.outbound ?? false,
      activate: options.bypass?.activate ?? false,
    },
    slirp4netns: { socket: statePath(stateDir.path, 'slirp4netnsSocket'), childIP: childIP ?? '' },
  };
}

/** Sockets that systemd has opened; undefined if there are none, or the port driver cannot publish them. */
function activatedSockets(
  { adopt = [], portDriver }: StackOptions,
  ports: PortDriver | undefined,
  log: StackLog,
): ActivatedSockets | undefined {
  if (ports?.adopt) return adopt.length > 0 ? new ActivatedSockets(ports, adopt) : undefined;
  for (const { fd } of adopt) {
    native().closeFd(fd);
    log.warn(`cannot publish a systemd socket: the port driver ${portDriver} does not support it`);
  }
  return undefined;
}

/** The same at each start: the name of the stack, or its command and directory. */
function nameOf({ name, command }: StackOptions): string {
  return name?.text ?? [process.cwd(), ...(command ?? [])].join('\0');
}

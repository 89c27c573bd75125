/**
 * The port driver `bypass`: programs below the command that listen on a published port get a socket of the host for their
 * own; see native/src/bypass/bypass.h for how. What does not come that way is relayed, by the builtin driver.
 */
import { native } from '../../../native/index.js';
import type { PortDriverInfo } from '../../../protocol/api/types.js';
import { dialPlan } from '../../../protocol/ports/dial-rule.js';
import { type PortMapping, type PublishedPort, singles } from '../../../protocol/ports/port-mapping.js';
import type { EngineHost } from '../../engine/engine-host.js';
import type { AdoptOptions, CommandSetup, DriverReport, PortDriver } from '../driver.js';
import { isUnspecified, socketType } from '../listen.js';
import { targetOf } from '../target.js';
import type { BuiltinPortDriver } from './builtin.js';

/** Why a port is relayed that could be bypassed. */
const NOBODY_ASKED = 'no program below the command has started to listen on it since it was published';

export interface BypassSettings {
  /** The process that all programs are below. */
  root: number;
  /** The address of the child's device, "" if there is none. */
  childIP: string;
  /** Whether programs may reach the host's loopback. */
  hostLoopback: boolean;
  /** Whether connections to the outside are the host's own, too. */
  outbound: boolean;
  /** Whether the command starts with the sockets of its ports. */
  activate: boolean;
}

export class BypassPortDriver implements PortDriver {
  /** The command's end of the socket that it announces its filter on, until it is passed on. */
  #hello: number | undefined;

  constructor(
    private readonly relay: BuiltinPortDriver,
    private readonly host: EngineHost,
    private readonly settings: BypassSettings,
  ) {
    const [ours, theirs] = native().socketpair();
    this.#hello = theirs;
    host.engine.startBypass(ours, settings.root, settings.hostLoopback, settings.outbound);
  }

  get info(): PortDriverInfo {
    const { unguarded } = this.host.engine.bypassState(0);
    return { ...this.relay.info, driver: 'bypass', ...(unguarded && { hostLoopbackUnguarded: true }) };
  }

  async add(mapping: PortMapping, id?: number): Promise<PublishedPort> {
    return this.#offer(await this.relay.add(mapping, id));
  }

  async addAll(mappings: readonly PortMapping[]): Promise<PublishedPort[]> {
    const ports = await this.relay.addAll(mappings);
    for (const port of ports) this.#offer(port);
    return ports;
  }

  newId(count = 1): number {
    return this.relay.newId(count);
  }

  async adopt(fds: number[], mapping: PortMapping, options?: AdoptOptions): Promise<PublishedPort> {
    return this.#offer(await this.relay.adopt(fds, mapping, options));
  }

  commandSetup(): CommandSetup {
    const setup: CommandSetup = { activated: [] };
    if (this.#hello === undefined) return setup;
    setup.filterSocket = this.#hello;
    this.#hello = undefined;
    if (!this.settings.activate) return setup;
    for (const port of singles(this.list())) {
      const fd = this.host.engine.activatePort(port.id);
      if (fd >= 0) setup.activated.push({ fd, name: `${port.target.port}/${socketType(port)}` });
    }
    return setup;
  }

  list(): PublishedPort[] {
    return this.relay.list();
  }

  targetOf(id: number): Uint8Array | undefined {
    return this.relay.targetOf(id);
  }

  report(id: number): DriverReport | undefined {
    const report = this.relay.report(id);
    const port = this.relay.find(id);
    if (!report || !port) return report;
    const { bypassed, reason } = this.host.engine.bypassState(id);
    const bypassReason = reason || this.#obstacle(port) || this.#holder(port) || NOBODY_ASKED;
    return { ...report, bypass: bypassed, ...(!bypassed && { bypassReason }) };
  }

  async remove(id: number, count = 1): Promise<void> {
    await Promise.all(Array.from({ length: count }, (_, offset) => this.host.endBypass(id + offset)));
    await this.relay.remove(id, count);
  }

  watchConnections(wanted: boolean): void {
    this.relay.watchConnections(wanted);
  }

  async close(): Promise<void> {
    if (this.#hello !== undefined) native().closeFd(this.#hello);
    this.#hello = undefined;
    // What programs have of the ports ends with them.
    await this.relay.close();
  }

  #offer(port: PublishedPort): PublishedPort {
    if (this.#obstacle(port) !== undefined) return port;
    const { childIP } = this.settings;
    const ips = dialPlan(targetOf(port, 'keep'), (ip) => ip === childIP);
    this.host.engine.bypassPorts(port.id, port.count, socketType(port), ips, port.target.port);
    return port;
  }

  /** That another port has the server which this one leads to. */
  #holder(port: PublishedPort): string | undefined {
    for (const other of this.list()) {
      const offset = port.target.port - other.target.port;
      if (socketType(other) !== socketType(port) || offset < 0 || offset >= other.count) continue;
      const id = other.id + offset;
      if (id !== port.id && this.host.engine.bypassState(id).bypassed) {
        return `the server has the socket of port ${id} instead`;
      }
    }
    return undefined;
  }

  /** What keeps every server from having that port. */
  #obstacle(port: PortMapping): string | undefined {
    if (port.proxyProtocol !== undefined) return 'connections begin with the PROXY protocol';
    if (socketType(port) === 'tcp') return undefined;
    if (!this.settings.hostLoopback) {
      return 'a UDP socket of the host could send to its loopback; --allow-host-loopback permits that';
    }
    // A server that is bound to one address does not name the one that its answers are to leave from.
    if (isUnspecified(port.host.ip) && !this.settings.activate)
      return 'UDP is published on every address; give one (-p ADDRESS:PORT:PORT/udp)';
    return undefined;
  }
}

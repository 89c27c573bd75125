/**
 * The port driver `bypass`: programs below the command that listen on a published port get a socket of the host for their
 * own; see native/src/bypass.h for how. What does not come that way is relayed, by the builtin driver.
 */
import { native } from '../../native/index.js';
import type { PortDriverInfo } from '../../protocol/api.js';
import { dialPlan } from '../../protocol/dial-rule.js';
import type { PortSpec, PortStatus } from '../../protocol/ports.js';
import type { Channels } from '../channels.js';
import type { Launcher } from '../namespaces/launcher.js';
import type { BuiltinPortDriver } from './builtin.js';
import type { DriverReport, PortDriver } from './driver.js';
import { baseProtocol, isUnspecified } from './listen.js';
import { targetOf } from './target.js';

export interface BypassSettings {
  /** The process that all programs are below. */
  root: number;
  /** The address of the child's device, "" where there is none. */
  childIP: string;
  /** Whether programs may reach the host's loopback. */
  hostLoopback: boolean;
  /** Whether connections to the outside are the host's own, too. */
  outbound: boolean;
  /** Whether the command starts with the sockets of its ports. */
  activate: boolean;
}

export class BypassPortDriver implements PortDriver {
  readonly info: PortDriverInfo;
  /** The command's end of the socket that it says hello on, until it is passed on. */
  #hello: number | undefined;

  constructor(
    private readonly relay: BuiltinPortDriver,
    private readonly channels: Channels,
    private readonly settings: BypassSettings,
  ) {
    this.info = { ...relay.info, driver: 'bypass' };
    const [ours, theirs] = native().socketpair();
    this.#hello = theirs;
    channels.engine.startBypass(ours, settings.root, settings.hostLoopback, settings.outbound);
  }

  async add(spec: PortSpec): Promise<PortStatus> {
    return this.#offer(await this.relay.add(spec));
  }

  async adopt(fd: number, spec: PortSpec): Promise<PortStatus> {
    return this.#offer(await this.relay.adopt(fd, spec));
  }

  async beforeCommand(launcher: Launcher): Promise<void> {
    const fd = this.#hello;
    if (fd === undefined) return;
    this.#hello = undefined;
    await launcher.filterCommand(fd);
    if (!this.settings.activate) return;
    for (const { id, spec } of this.list()) {
      const listener = this.channels.engine.activatePort(id);
      if (listener >= 0) await launcher.activate(listener, `${spec.childPort}/${baseProtocol(spec.proto)}`);
    }
  }

  list(): PortStatus[] {
    return this.relay.list();
  }

  report(id: number): DriverReport | undefined {
    const report = this.relay.report(id);
    const status = this.relay.status(id);
    if (!report || !status) return report;
    const { bypassed, reason } = this.channels.engine.bypassState(id);
    const bypassReason = reason || this.#obstacle(status.spec);
    return { ...report, bypass: bypassed, ...(bypassReason !== undefined && !bypassed && { bypassReason }) };
  }

  async remove(id: number): Promise<void> {
    await this.channels.endBypass(id);
    await this.relay.remove(id);
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

  #offer(status: PortStatus): PortStatus {
    const { id, spec } = status;
    if (this.#obstacle(spec) !== undefined) return status;
    const { childIP } = this.settings;
    const addresses = dialPlan(targetOf(spec, 'keep'), (ip) => ip === childIP);
    this.channels.engine.bypassPort(id, baseProtocol(spec.proto), addresses);
    return status;
  }

  /** What keeps every server from having that port. */
  #obstacle({ parentIP = '', proto, proxyProtocol }: PortSpec): string | undefined {
    if (proxyProtocol !== undefined) return 'connections begin with the PROXY protocol';
    if (baseProtocol(proto) === 'tcp') return undefined;
    if (!this.settings.hostLoopback) {
      return 'a UDP socket of the host could send to its loopback; --allow-host-loopback permits that';
    }
    // A server that is bound to one address does not say which one its answers are to leave from.
    if (isUnspecified(parentIP) && !this.settings.activate)
      return 'UDP is published on every address; give one (-p ADDRESS:PORT:PORT/udp)';
    return undefined;
  }
}

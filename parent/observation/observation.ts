/** What the API reports of a running stack, beyond its ports. All of it is loaded when it is asked for first. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { TraceReport } from '../../protocol/api/trace.js';
import type { Flow } from '../../protocol/api/types.js';
import type { OverlayReport } from '../../protocol/overlay/reports.js';
import type { AgentSupervisor } from '../agent/agent.js';
import type { Reply } from '../api/response.js';
import type { ContainerService } from '../containers/service.js';
import type { StackEgress } from '../egress/start-egress.js';
import type { EngineHost } from '../engine/engine-host.js';
import type { FlowsDeps } from '../flows/index.js';
import type { Launcher } from '../namespaces/launcher.js';
import type { Network } from '../network/driver.js';
import type { Overlays } from '../overlay/overlays.js';
import type { PortDriver } from '../port/driver.js';
import type { WaitingPorts } from '../port/waiting-ports.js';

/** Connections that are counted at most. */
const MAX_OUTBOUND = 100_000;

export interface ObservationDeps {
  agent: AgentSupervisor;
  containers: ContainerService | undefined;
  egress: StackEgress | undefined;
  engineHost: EngineHost;
  launcher: Launcher;
  /** Path of the stack's network namespace where that is detached. */
  netns: string | undefined;
  network: Network;
  overlays: (() => Promise<Overlays>) | undefined;
  ports: { readonly driver: PortDriver | undefined; readonly waiting: WaitingPorts | undefined };
}

export class Observation {
  /** Under way. */
  #metrics: Promise<Reply> | undefined;

  constructor(private readonly deps: ObservationDeps) {}

  /** Open connections and flows, so many of each direction at most. */
  async flows(most: number, programs: boolean): Promise<Flow[]> {
    const { listFlows } = await import('../flows/index.js');
    return listFlows(this.#flowsDeps(), most, programs);
  }

  /** @param address as people write it. Throws HostAddressError. */
  async trace(address: string): Promise<TraceReport> {
    const { parseHostAddress } = await import('../../protocol/net/host-address.js');
    const wanted = parseHostAddress(address);
    const { tracePort } = await import('./trace/index.js');
    const { isBound } = await import('../flows/bound.js');
    const { agent, containers, launcher, ports } = this.deps;
    return tracePort(wanted, {
      agent,
      ports: ports.driver,
      waiting: () => ports.waiting?.list() ?? [],
      nameOf: async (id) => (await containers?.running())?.find((container) => container.id === id)?.name,
      isBound: (transport, port) => isBound(launcher.pid, transport, port),
    });
  }

  /** In the text format of Prometheus. Requests at one time get the same answer. */
  metrics(): Promise<Reply> {
    this.#metrics ??= this.#collect().finally(() => {
      this.#metrics = undefined;
    });
    return this.#metrics;
  }

  async #collect(): Promise<Reply> {
    const { collectMetrics } = await import('./metrics/collect.js');
    const { EXPOSITION_TYPE, exposition } = await import('./metrics/exposition.js');
    const { agent, containers, egress, engineHost, network, ports } = this.deps;
    const metrics = await collectMetrics({
      agent,
      ports: ports.driver,
      network: () => ({ driver: network.info?.driver ?? 'host', up: !network.isLost }),
      agentGet: async (path, test) => containers?.ask(path, test),
      egress: egress?.stack,
      overlays: () => this.#overlays(),
      outbound: () => engineHost.engine.outboundFlows(MAX_OUTBOUND).length,
    });
    return { status: 200, text: exposition(metrics), textType: EXPOSITION_TYPE };
  }

  /** Those that are open, with their counters; none where they cannot be asked. */
  async #overlays(): Promise<OverlayReport[]> {
    const { containers, overlays } = this.deps;
    // What has none is not to load them.
    if (!overlays || !containers?.serving || !existsSync(join(containers.dataDir, 'overlay'))) return [];
    try {
      const loaded = await overlays();
      return await Promise.all((await loaded.list()).map(({ name }) => loaded.report(name)));
    } catch {
      return [];
    }
  }

  #flowsDeps(): FlowsDeps {
    const { containers, egress, engineHost, launcher, netns, ports } = this.deps;
    return {
      engine: engineHost.engine,
      ports: () => ports.driver?.list() ?? [],
      root: launcher.pid,
      netns,
      containers: async () => (await containers?.running()) ?? [],
      containerAt: (client) => egress?.containers.nameOf(client),
    };
  }
}

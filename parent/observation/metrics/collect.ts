/**
 * The metrics of a stack, collected when they are asked for; nothing is counted for them otherwise.
 *
 * The number of series is bounded: names of ports, containers, rules, networks and members are labels, but only so many of
 * each. A range of ports is one series. Clients' addresses and the names of programs are never labels.
 */
import { isListOf, isNetworkNamesReport, isNetworkReport } from '../../../protocol/api/report-shapes.js';
import { type ContainerUsage, isUsageList } from '../../../protocol/api/usage.js';
import type { NetworkNamesReport } from '../../../protocol/containers/types.js';
import type { OverlayReport } from '../../../protocol/overlay/reports.js';
import { formatPorts } from '../../../protocol/ports/grammar.js';
import { type PublishedPort, protocolName } from '../../../protocol/ports/port-mapping.js';
import { bracket } from '../../../protocol/ports/port-text.js';
import { REFUSALS } from '../../../protocol/ports/status.js';
import { VERSION } from '../../../protocol/version.js';
import type { Egress } from '../../egress/egress.js';
import type { PortDriver } from '../../port/driver.js';
import type { Metric, Sample } from './exposition.js';

/** Series of one metric, with the same other labels. */
const MAX_SERIES = 1000;
/** Ports whose counters are read, those in ranges included. */
const MAX_COUNTED = 20_000;
/** Networks that are asked for their DNS servers' counters. */
const MAX_NETWORKS = 100;

export interface MetricsDeps {
  /** Name of the network driver, and whether its network is up. */
  network: () => { driver: string; up: boolean };
  ports: PortDriver | undefined;
  agent: { readonly restarts: number };
  /** What the agent answers to a GET; undefined where it does not, or runs no containers. */
  agentGet: <T>(path: string, test: (value: unknown) => value is T) => Promise<T | undefined>;
  egress: Egress | undefined;
  overlays: () => Promise<OverlayReport[]>;
  /** Connections and flows out of the namespaces that are open. */
  outbound: () => number;
}

export async function collectMetrics(deps: MetricsDeps): Promise<Metric[]> {
  const usage = (await deps.agentGet('/v1/usage', isUsageList)) ?? [];
  const [dns, overlays] = await Promise.all([dnsReports(deps), deps.overlays()]);
  const { driver, up } = deps.network();
  return [
    gauge('build_info', 'Version of the stack; always 1.', [{ labels: { version: VERSION }, value: 1 }]),
    gauge('network_up', 'Whether the network driver is up.', [{ labels: { driver }, value: up ? 1 : 0 }]),
    counter('agent_restarts', 'How often the agent in the namespaces was replaced.', [
      { labels: {}, value: deps.agent.restarts },
    ]),
    ...portMetrics(deps, new Map(usage.map(({ id, name }) => [id, name]))),
    gauge('outbound_connections', 'Connections and UDP flows out of the namespaces that are open.', [
      { labels: {}, value: deps.outbound() },
    ]),
    ...containerMetrics(usage.slice(0, MAX_SERIES)),
    counter('dns_queries', 'Queries of containers, by network and by what has answered.', dns),
    ...egressMetrics(deps.egress),
    ...overlayMetrics(overlays),
  ];
}

function gauge(name: string, help: string, samples: readonly Sample[]): Metric {
  return { name: `rootless_net_${name}`, help, type: 'gauge', samples };
}

function counter(name: string, help: string, samples: readonly Sample[]): Metric {
  return { name: `rootless_net_${name}_total`, help, type: 'counter', samples };
}

/** The counters of all ports of a range. */
interface PortTotals {
  labels: Record<string, string>;
  up: number;
  open: number;
  opened: number;
  bytesIn: number;
  bytesOut: number;
  refused: Map<string, number>;
}

function portMetrics({ ports }: MetricsDeps, names: ReadonlyMap<string, string>): Metric[] {
  const all = ports?.list() ?? [];
  const count = all.reduce((sum, port) => sum + port.count, 0);
  const totals: PortTotals[] = [];
  let counted = 0;
  for (const port of all.slice(0, MAX_SERIES)) {
    counted += port.count;
    if (counted > MAX_COUNTED) break;
    const { container: id = '' } = port;
    totals.push(totalsOf(port, names.get(id) ?? id, ports));
  }
  const samples = (value: (port: PortTotals) => number) =>
    totals.map((port) => ({ labels: port.labels, value: value(port) }));
  return [
    gauge('ports', 'Published ports.', [{ labels: {}, value: count }]),
    gauge(
      'port_up',
      'Whether the port accepts connections.',
      samples(({ up }) => up),
    ),
    gauge(
      'port_connections',
      'Connections and UDP flows of the port that are open.',
      samples(({ open }) => open),
    ),
    counter(
      'port_connections',
      'Connections and UDP flows of the port since it was published.',
      samples(({ opened }) => opened),
    ),
    counter(
      'port_bytes',
      'Bytes that the port has relayed; in is from the client.',
      totals.flatMap(({ labels, bytesIn, bytesOut }) => [
        { labels: { ...labels, direction: 'in' }, value: bytesIn },
        { labels: { ...labels, direction: 'out' }, value: bytesOut },
      ]),
    ),
    counter(
      'port_refused',
      'Connections that no server inside has accepted, by the reason.',
      totals.flatMap(({ labels, refused }) =>
        REFUSALS.map((reason) => ({ labels: { ...labels, reason }, value: refused.get(reason) ?? 0 })),
      ),
    ),
  ];
}

function totalsOf(port: PublishedPort, container: string, ports: PortDriver | undefined): PortTotals {
  const { host, count, id } = port;
  const labels = { port: `${bracket(host.ip)}:${formatPorts(host.port, count)}/${protocolName(port)}`, container };
  const totals = { labels, up: 1, open: 0, opened: 0, bytesIn: 0, bytesOut: 0, refused: new Map<string, number>() };
  for (let offset = 0; offset < count; offset++) {
    const report = ports?.report(id + offset);
    if (!report) continue;
    const { listener, counters, refusals = {} } = report;
    if (listener.state !== 'listening') totals.up = 0;
    totals.open += counters.open;
    totals.opened += counters.opened;
    totals.bytesIn += counters.bytesIn;
    totals.bytesOut += counters.bytesOut;
    for (const [reason, number] of Object.entries(refusals)) {
      totals.refused.set(reason, (totals.refused.get(reason) ?? 0) + number);
    }
  }
  return totals;
}

function containerMetrics(usage: readonly ContainerUsage[]): Metric[] {
  const samples = (value: (one: ContainerUsage) => number | undefined, more: Record<string, string> = {}): Sample[] =>
    usage.flatMap((one) => {
      const number = value(one);
      return number === undefined ? [] : [{ labels: { container: one.name, ...more }, value: number }];
    });
  const bytes = [
    ...samples(({ received }) => received, { direction: 'in' }),
    ...samples(({ sent }) => sent, { direction: 'out' }),
  ];
  return [
    gauge('containers', 'Containers that run.', [{ labels: {}, value: usage.length }]),
    counter('container_bytes', 'Bytes through the interfaces of the container; in is what it has received.', bytes),
    counter(
      'container_cpu_seconds',
      'Time of the processors that the container has used.',
      samples(({ cpuTime }) => (cpuTime === undefined ? undefined : cpuTime / 1e6)),
    ),
    gauge(
      'container_memory_bytes',
      'Memory that the container uses, without cache that can be dropped.',
      samples(({ memory }) => memory),
    ),
    gauge(
      'container_processes',
      'Processes of the container.',
      samples(({ processes }) => processes),
    ),
  ];
}

/** One network after the other could take long where the agent hangs. */
async function dnsReports({ agentGet }: MetricsDeps): Promise<Sample[]> {
  const networks = ((await agentGet('/v1/networks', isListOf(isNetworkReport))) ?? []).slice(0, MAX_NETWORKS);
  const reports = await Promise.all(
    networks.map(({ name }) => agentGet(`/v1/networks/${encodeURIComponent(name)}/names`, isNetworkNamesReport)),
  );
  return reports
    .filter((report): report is NetworkNamesReport => report !== undefined && report.servers.length > 0)
    .flatMap(({ network, answers }) =>
      Object.entries(answers).map(([from, value]) => ({ labels: { network, from }, value })),
    );
}

function egressMetrics(egress: Egress | undefined): Metric[] {
  const report = egress?.report();
  if (!report) return [];
  const { counters, default: byDefault, rules } = report;
  const all = [...rules.slice(0, MAX_SERIES), { rule: `${byDefault} (default)`, ...counters }];
  const samples = (value: (one: (typeof all)[number]) => number) =>
    all.map((one) => ({ labels: { rule: one.rule }, value: value(one) }));
  return [
    counter(
      'egress_denied',
      'Connections and flows that the egress policy has denied, by rule.',
      samples(({ denied }) => denied),
    ),
    counter(
      'egress_allowed',
      'Connections and flows that it has allowed, by rule.',
      samples(({ allowed }) => allowed),
    ),
  ];
}

function overlayMetrics(overlays: readonly OverlayReport[]): Metric[] {
  const members = overlays.flatMap(({ name, members }) =>
    members.filter(({ self }) => !self).map((member) => ({ ...member, overlay: name })),
  );
  const ages = members
    .slice(0, MAX_SERIES)
    .flatMap(({ overlay, name, handshakeAge }) =>
      handshakeAge === undefined ? [] : [{ labels: { overlay, member: name }, value: handshakeAge }],
    );
  return [
    gauge(
      'overlay_up',
      'Whether the overlay network is ready.',
      overlays.map(({ name, condition }) => ({ labels: { overlay: name }, value: condition === 'ready' ? 1 : 0 })),
    ),
    gauge('overlay_handshake_age_seconds', 'Time since the last handshake of WireGuard with another member.', ages),
  ];
}

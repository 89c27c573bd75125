import type { DnsQueryEvent, Info, OutboundEvent, PortReport, StackEvent } from '../../protocol/api/types.js';
import { urlOf } from '../../protocol/ports/auto.js';
import { formatPortMapping } from '../../protocol/ports/grammar.js';
import { type PortSpec, type PortStatus, parsePortSpecJSON } from '../../protocol/ports/rootlesskit-json.js';
import { MAX_LINE, printable, printableJSON } from '../../protocol/text/printable-text.js';
import { formatTable } from '../common/table.js';

/** Human-readable output of rootlessctl. It equals RootlessKit's where that has the same, since scripts parse it. */

/** Output of `rootlessctl info`. */
export function infoText(info: Info): string {
  const lines = [
    `- REST API version: ${info.apiVersion}`,
    `- Implementation version: ${info.version}`,
    `- State Directory: ${info.stateDir}`,
    `- Child PID: ${info.childPID}`,
  ];
  if (info.name !== undefined) lines.push(`- Name: ${info.name}`);
  const { networkDriver: network, portDriver: port } = info;
  if (network) {
    lines.push(`- Network Driver: ${network.driver}`, `  - DNS: ${list(network.dns ?? [])}`);
    const ip = network.dynamicChildIP ? 'dynamic' : network.childIP;
    if (ip !== undefined) lines.push(`  - IP: ${ip}`);
  }
  if (port) lines.push(`- Port Driver: ${port.driver}`, `  - Supported protocols: ${list(port.protos)}`);
  if (port?.threads !== undefined) lines.push(`  - Threads: ${port.threads}`);
  if (port?.hostLoopbackUnguarded)
    lines.push('  - Host loopback: not guarded (no Landlock for TCP), see docs/guide/ports.md');
  if (info.hostNames) lines.push(`- Names for the host: ${info.hostNames.address}`);
  return lines.map((line) => `${printable(line, MAX_LINE)}\n`).join('');
}

/** Output of `rootlessctl list-ports`. Columns that RootlessKit does not have come last, and only if they have values. */
export function portTable(ports: readonly PortReport[], { counters = false } = {}): string {
  const states = ports.some(({ listener }) => listener !== undefined && listener.state !== 'listening');
  const header = ['ID', 'PROTO', 'PARENTIP', 'PARENTPORT', 'CHILDIP', 'CHILDPORT'];
  if (counters) header.push('OPEN', 'OPENED', 'REFUSED', 'BYTESIN', 'BYTESOUT');
  const persistent = ports.some((port) => port.persistent);
  if (persistent) header.push('PERSISTENT');
  const sources = ports.some(({ source }) => source !== undefined);
  if (sources) header.push('SOURCE');
  const bypassed = ports.some(({ bypass }) => bypass !== undefined);
  if (bypassed) header.push('BYPASS');
  const auto = ports.some((port) => port.auto);
  if (auto) header.push('PROGRAM', 'URL');
  if (states) header.push('STATE');
  const rows = ports.map((port) => {
    const { proto, parentIP = '', parentPort, childIP = '', childPort } = port.spec;
    const row = [`${port.id}`, proto, parentIP, `${parentPort}`, childIP, `${childPort}`];
    if (counters) row.push(...counterCells(port.counters));
    if (persistent) row.push(port.persistent ? 'yes' : 'no');
    if (sources) row.push(port.source ?? '');
    if (bypassed) row.push(bypassText(port));
    if (auto) row.push(...(port.auto ? [port.program ?? '', urlText(port.spec)] : ['', '']));
    if (states) row.push(stateText(port.listener ?? { state: 'listening' }));
    return row;
  });
  return formatTable([header, ...rows]);
}

/** A line of `rootlessctl events`, without a line break. */
export function eventText(event: StackEvent): string {
  return printable(`${new Date(event.time).toISOString()} ${describe(event)}`, MAX_LINE);
}

function describe(event: StackEvent): string {
  switch (event.type) {
    case 'port-added':
      return `port ${event.id} added: ${specText(event.spec)}${autoText(event)}`;
    case 'port-removed':
      return `port ${event.id} removed: ${specText(event.spec)}`;
    case 'port-state':
      return `port ${event.id} ${stateText(event.listener)}`;
    case 'connection-opened':
      return `port ${event.port} connection ${event.connection} opened from ${event.client}`;
    case 'connection-refused':
      return `port ${event.port} connection ${event.connection} refused from ${event.client}: ${event.reason}`;
    case 'connection-closed':
      return `port ${event.port} connection ${event.connection} closed: ${event.bytesIn} bytes in, ${event.bytesOut} out`;
    case 'outbound-opened':
      return `outbound connection ${event.connection} opened from ${event.client} to ${destinationText(event)}`;
    case 'outbound-closed':
      return `outbound connection ${event.connection} closed: ${event.bytesSent} bytes sent, ${event.bytesReceived} received`;
    case 'egress-denied':
      return `egress denied: ${event.protocol} ${event.destination} from ${event.client}: ${event.reason}`;
    case 'dns-query':
      return queryText(event);
    case 'container-created':
    case 'container-started':
    case 'container-removed':
      return `container ${event.container} ${event.type.slice('container-'.length)}`;
    case 'container-exited':
      return `container ${event.container} exited: ${event.exitCode === undefined ? 'unknown code' : `code ${event.exitCode}`}`;
    case 'network-created':
    case 'network-removed':
      return `network ${event.network} ${event.type.slice('network-'.length)}`;
    case 'network-connected':
    case 'network-disconnected':
      return `network ${event.network} ${event.type.slice('network-'.length)} container ${event.container}`;
    case 'driver-state':
      return `port driver ${event.driver} ${event.state}${event.reason === undefined ? '' : `: ${event.reason}`}`;
    default:
      // From a stack of a later version.
      return printableJSON(event);
  }
}

/** Of a port that is published while something listens inside. */
function autoText({ auto, program }: PortStatus): string {
  if (!auto) return '';
  return program === undefined ? ' (auto)' : ` (auto, ${program})`;
}

/** "" for UDP. */
function urlText({ proto, parentIP = '', parentPort }: PortSpec): string {
  return proto.startsWith('tcp') ? urlOf({ ip: parentIP, port: parentPort }) : '';
}

/** `dns query redis A from web (10.4.0.2) on back: own, 0 ms`. */
function queryText({
  server,
  network,
  client,
  container,
  name,
  record,
  answeredBy,
  ms,
  missed,
}: DnsQueryEvent): string {
  const who = container === undefined ? client : `${container} (${client})`;
  const where = server === 'network' ? ` on ${network}` : server === 'host' ? ' on the host' : '';
  const left = missed === undefined ? '' : `; ${missed} before it were left out`;
  return `dns query ${name === '' ? '(malformed)' : `${name} ${record}`} from ${who}${where}: ${answeredBy}, ${ms} ms${left}`;
}

/** As `add-ports` takes it. */
function specText(spec: PortSpec): string {
  return formatPortMapping(parsePortSpecJSON(spec));
}

/** `10.0.2.2:5432/tcp`, and where that led to on the host if it was elsewhere. */
function destinationText({ destination, host, name, protocol }: OutboundEvent): string {
  const named = name === undefined ? '' : ` (${name})`;
  return `${destination}/${protocol}${named}${host === destination ? '' : ` at ${host}`}`;
}

function bypassText({ bypass, bypassReason }: PortReport): string {
  if (bypass) return 'yes';
  return bypassReason === undefined ? 'no' : `no: ${bypassReason}`;
}

function stateText({ state, reason }: NonNullable<PortReport['listener']>): string {
  return reason === undefined ? state : `${state}: ${reason}`;
}

function counterCells(counters: PortReport['counters']): string[] {
  if (!counters) return ['', '', '', '', ''];
  const { open, opened, refused, bytesIn, bytesOut } = counters;
  return [open, opened, refused, bytesIn, bytesOut].map(String);
}

function list(items: readonly string[]): string {
  return `[${items.join(' ')}]`;
}

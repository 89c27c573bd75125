import type { Info, PortReport, StackEvent } from '../protocol/api.js';
import { formatPortSpec } from '../protocol/port-spec.js';
import { formatTable } from './tabular.js';

/** What rootlessctl prints for people. Where RootlessKit has the same, the text is the same, as scripts read it. */

/** Answer of `rootlessctl info`. */
export function infoText(info: Info): string {
  const lines = [
    `- REST API version: ${info.apiVersion}`,
    `- Implementation version: ${info.version}`,
    `- State Directory: ${info.stateDir}`,
    `- Child PID: ${info.childPID}`,
  ];
  const { networkDriver: network, portDriver: port } = info;
  if (network) {
    lines.push(`- Network Driver: ${network.driver}`, `  - DNS: ${list(network.dns)}`);
    lines.push(`  - IP: ${network.childIP ?? (network.dynamicChildIP ? 'dynamic' : 'none')}`);
  }
  if (port) lines.push(`- Port Driver: ${port.driver}`, `  - Supported protocols: ${list(port.protos)}`);
  return `${lines.join('\n')}\n`;
}

/** Answer of `rootlessctl list-ports`. Columns that RootlessKit does not have come last, and only if they say something. */
export function portTable(ports: readonly PortReport[], { counters = false } = {}): string {
  const states = ports.some(({ listener }) => listener !== undefined && listener.state !== 'listening');
  const header = ['ID', 'PROTO', 'PARENTIP', 'PARENTPORT', 'CHILDIP', 'CHILDPORT'];
  if (counters) header.push('OPEN', 'OPENED', 'REFUSED', 'BYTESIN', 'BYTESOUT');
  const kept = ports.some(({ persistent }) => persistent);
  if (kept) header.push('PERSISTENT');
  const sources = ports.some(({ source }) => source !== undefined);
  if (sources) header.push('SOURCE');
  const bypassed = ports.some(({ bypass }) => bypass !== undefined);
  if (bypassed) header.push('BYPASS');
  if (states) header.push('STATE');
  const rows = ports.map((port) => {
    const { proto, parentIP = '', parentPort, childIP = '', childPort } = port.spec;
    const row = [`${port.id}`, proto, parentIP, `${parentPort}`, childIP, `${childPort}`];
    if (counters) row.push(...counterCells(port.counters));
    if (kept) row.push(port.persistent ? 'yes' : 'no');
    if (sources) row.push(port.source ?? '');
    if (bypassed) row.push(bypassText(port));
    if (states) row.push(stateText(port.listener ?? { state: 'listening' }));
    return row;
  });
  return formatTable([header, ...rows]);
}

/** A line of `rootlessctl events`, without a line break. */
export function eventText(event: StackEvent): string {
  return `${new Date(event.time).toISOString()} ${whatHappened(event)}`;
}

function whatHappened(event: StackEvent): string {
  switch (event.type) {
    case 'port-added':
      return `port ${event.id} added: ${formatPortSpec(event.spec)}`;
    case 'port-removed':
      return `port ${event.id} removed: ${formatPortSpec(event.spec)}`;
    case 'port-state':
      return `port ${event.id} ${stateText(event.listener)}`;
    case 'connection-opened':
      return `port ${event.port} connection ${event.connection} opened from ${event.client}`;
    case 'connection-refused':
      return `port ${event.port} connection ${event.connection} refused from ${event.client}: ${event.reason}`;
    case 'connection-closed':
      return `port ${event.port} connection ${event.connection} closed: ${event.bytesIn} bytes in, ${event.bytesOut} out`;
    case 'driver-state':
      return `port driver ${event.driver} ${event.state}${event.reason === undefined ? '' : `: ${event.reason}`}`;
    default:
      // A stack that is newer than we are.
      return JSON.stringify(event);
  }
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

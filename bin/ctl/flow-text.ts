/** Human-readable output of `rootlessctl flows`. */
import type { EgressDenied, Flow } from '../../protocol/api/types.js';
import { MAX_LINE, printable } from '../../protocol/text/printable-text.js';
import { formatTable } from '../common/table.js';

const HEADER = ['PROTO', 'DIR', 'WHO', 'NAME/ADDRESS', 'PORT', 'SENT', 'RECEIVED', 'AGE', 'VERDICT'];

/** @param now in ms since the epoch */
export function flowTable(flows: readonly Flow[], now: number): string {
  const rows = flows.map((flow) => {
    const { address, port } = otherSide(flow);
    const { protocol, direction, bytesSent, bytesReceived, since, verdict } = flow;
    const counts = [bytesSent, bytesReceived].map(bytesText);
    return [protocol, direction, whoText(flow), address, port, ...counts, ageText(now - since), verdict];
  });
  return formatTable([HEADER, ...rows]);
}

/** A line of `rootlessctl flows -f`. */
export function flowLine(change: string, flow: Flow, time: number): string {
  const { address, port } = otherSide(flow);
  const who = whoText(flow);
  const words = [new Date(time).toISOString(), change, flow.protocol, flow.direction, who === '' ? '-' : who];
  const counts = change === 'opened' ? '' : `: ${flow.bytesSent} bytes sent, ${flow.bytesReceived} received`;
  const arrow = flow.direction === 'out' ? 'to' : 'from';
  const inbound = port === '' ? `${address} at published port ${flow.port}` : `${address} on port ${port}`;
  const at = flow.direction === 'out' ? `${address} port ${port}` : inbound;
  return printable(`${words.join(' ')} ${arrow} ${at}${counts}`, MAX_LINE);
}

/** A line of `rootlessctl flows -f` for what the egress policy denies; a name that was asked for has no port. */
export function deniedLine({
  time,
  protocol,
  client,
  destination,
  reason,
  rule,
}: EgressDenied & { time: number }): string {
  const why = rule === undefined ? reason : `rule "${rule}"`;
  const words = [new Date(time).toISOString(), 'denied', protocol, 'out', client, 'to', `${destination}: ${why}`];
  return printable(words.join(' '), MAX_LINE);
}

/** The name or address of the other side, and the port that was connected to: inside's or the host's. */
function otherSide({ direction, name, client, destination, host }: Flow): { address: string; port: string } {
  const [address] = split(direction === 'out' ? destination : client);
  const [, port] = split(direction === 'out' ? destination : host);
  return { address: name ?? address, port };
}

function split(address: string): [string, string] {
  const colon = address.lastIndexOf(':');
  return [address.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), address.slice(colon + 1)];
}

/** Container and program, as far as they are known. */
export function whoText({ program, container }: Flow): string {
  const own = program === undefined ? [] : [`${program.name}[${program.pid}]`];
  return [...(container === undefined ? [] : [container]), ...own].join('/');
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

/** With a unit of powers of 1000: `12kB`. */
export function bytesText(bytes: number): string {
  const unit = Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(bytes, 1)) / 3)));
  const value = bytes / 1000 ** unit;
  return `${unit === 0 || value >= 100 ? Math.floor(value) : value.toFixed(1)}${UNITS[unit]}`;
}

const SECONDS = [
  ['d', 86_400],
  ['h', 3_600],
  ['m', 60],
] as const;

/** The largest unit alone: `5s`, `3m`, `2d`. @param age in ms */
export function ageText(age: number): string {
  const seconds = Math.max(0, Math.floor(age / 1000));
  const [unit, length] = SECONDS.find(([, length]) => seconds >= length) ?? ['s', 1];
  return `${Math.floor(seconds / length)}${unit}`;
}

/** A row of `docker ps`. */
import { shortId } from '../../../protocol/containers/short-id.js';
import type { ContainerReport } from '../../../protocol/containers/types.js';
import { mappingOf } from '../../../protocol/ports/cni-json.js';
import { printable } from '../../../protocol/text/printable-text.js';
import type { Struct, Value } from '../template/index.js';
import { bindSources } from './mounts.js';
import { portsText } from './ports.js';
import { momentText, sinceText } from './time.js';

/** Longest command and root file system that a row shows, in characters. */
const MAX_COMMAND = 20;
const MAX_IMAGE = 32;
/** Longest reason why a container is not running, in characters. */
const MAX_FAILURE = 120;

export interface RowOptions {
  /** Current time, in ms since 1970. */
  now: number;
  noTrunc: boolean;
}

/** The fields of a row, for `--format`. */
export function containerRow(report: ContainerReport, { now, noTrunc }: RowOptions): Struct {
  const { id, name, status, created, request, ports, attachments } = report;
  const command = (request.command ?? []).join(' ');
  const image = imageOf(report);
  const labels = request.labels ?? {};
  return {
    Command: JSON.stringify(noTrunc ? command : shortened(command, MAX_COMMAND)),
    CreatedAt: momentText(created),
    ID: noTrunc ? id : shortId(id),
    Image: image,
    Label: (key: Value) => (typeof key === 'string' ? (labels[key] ?? '') : ''),
    Labels: Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
    LocalVolumes: '0',
    Mounts: bindSources(report).join(','),
    Names: name,
    Networks: networkNames(report).join(','),
    Ports: portsText(ports.map(mappingOf)),
    RunningFor: `${sinceText(created, now)} ago`,
    Size: '0B',
    State: status,
    Status: statusText(report, now),
    // Not a field of docker.
    Addresses: attachments.map(({ network, ips }) => `${network}:${ips.join(',')}`).join(' '),
  };
}

/** Headings of the columns, by field. */
export const CONTAINER_HEADINGS: Struct = {
  Command: 'COMMAND',
  CreatedAt: 'CREATED AT',
  ID: 'CONTAINER ID',
  Image: 'IMAGE',
  Label: (key: Value) => String(key).replace(/^.*\./s, '').toUpperCase(),
  Labels: 'LABELS',
  LocalVolumes: 'LOCAL VOLUMES',
  Mounts: 'MOUNTS',
  Names: 'NAMES',
  Networks: 'NETWORKS',
  Ports: 'PORTS',
  RunningFor: 'CREATED',
  Size: 'SIZE',
  State: 'STATE',
  Status: 'STATUS',
  Addresses: 'ADDRESSES',
};

/**
 * The columns of `docker ps`, with the addresses before the names: scripts use the first words of a line, and the last one.
 */
export function containerCells(report: ContainerReport, options: RowOptions): string[] {
  const { ID, Image, Command, RunningFor, Status, Ports, Names, Addresses } = containerRow(report, options);
  const image = options.noTrunc ? String(Image) : shownPath(String(Image));
  return [ID, image, Command, RunningFor, Status, Ports, Addresses || modeText(report), Names].map(String);
}

export const CONTAINER_COLUMNS = [
  'CONTAINER ID',
  'IMAGE',
  'COMMAND',
  'CREATED',
  'STATUS',
  'PORTS',
  'NETWORKS',
  'NAMES',
];

/** In place of an image: the directory that the container runs from. */
export function imageOf({ request }: ContainerReport): string {
  return request.rootfs ?? request.bundle ?? '';
}

/** "Up 5 minutes", "Exited (0) 3 seconds ago", "Created"; with the reason if a restart failed. */
export function statusText(report: ContainerReport, now: number): string {
  const { status, exitCode, started, finished, failure } = report;
  if (status === 'running') return `Up ${sinceText(started, now)}`;
  if (status !== 'exited' && status !== 'restarting') return 'Created';
  const word = status === 'exited' ? 'Exited' : 'Restarting';
  const reason = failure === undefined ? '' : `: ${printable(failure, MAX_FAILURE)}`;
  return `${word} (${exitCode ?? 'unknown'}) ${sinceText(finished, now)} ago${reason}`;
}

/** The names of the container's networks, or its network mode. */
export function networkNames({ request: { network } }: ContainerReport): string[] {
  if (network.mode === 'networks') return network.networks.map((entry) => entry.network);
  if (network.mode === 'container') return [];
  return network.mode === 'ns' ? [`ns:${network.path}`] : [network.mode];
}

/** The value of `--network`, with the state of a shared network whose interfaces are gone. */
function modeText(report: ContainerReport): string {
  const { network } = report.request;
  if (network.mode === 'container') {
    const { state = 'running' } = (report.status === 'running' && report.sharedNetwork) || {};
    return `container:${shortId(network.container)}${state === 'running' ? '' : ` (${state})`}`;
  }
  return networkNames(report).join(' ');
}

function shortened(text: string, most: number): string {
  const characters = [...printable(text, 4 * most)];
  return characters.length > most ? `${characters.slice(0, most - 1).join('')}…` : characters.join('');
}

/** Truncated at the beginning, since the end of a path is more informative. */
function shownPath(path: string): string {
  const characters = [...path];
  return characters.length > MAX_IMAGE ? `…${characters.slice(1 - MAX_IMAGE).join('')}` : path;
}

/** What rootless-net prints. */
import { printable, UserError } from '../parent/errors.js';
import type { ContainerReport, NetworkReport, PublishedPort } from '../protocol/containers.js';
import { formatTable } from './tabular.js';

export function shortId(id: string): string {
  return id.slice(0, 12);
}

export function containerTable(list: readonly ContainerReport[]): string {
  const rows = list.map((report) => [
    shortId(report.id),
    report.name,
    statusText(report),
    report.attachments.map(({ network, ips }) => `${network}:${ips.join(',')}`).join(' ') || modeText(report),
    portsText(report.ports),
    // Scripts have line breaks.
    printable((report.request.command ?? []).join(' ')).slice(0, 40),
  ]);
  return formatTable([['ID', 'NAME', 'STATUS', 'NETWORKS', 'PORTS', 'COMMAND'], ...rows]);
}

function statusText({ status, exitCode }: ContainerReport): string {
  return status === 'exited' ? `exited (${exitCode ?? 'unknown'})` : status;
}

function modeText({ request }: ContainerReport): string {
  const { network } = request;
  if (network.mode === 'networks') return network.networks.map((entry) => entry.network).join(' ') || 'bridge';
  if (network.mode === 'container') return `container:${shortId(network.container)}`;
  return network.mode === 'ns' ? `ns:${network.path}` : network.mode;
}

/** As `docker ps` has them, consecutive ones in one. */
function portsText(ports: readonly PublishedPort[]): string {
  const runs: { first: PublishedPort; count: number }[] = [];
  for (const port of ports) {
    const last = runs.at(-1);
    const follows =
      last?.first.hostIP === port.hostIP &&
      last.first.protocol === port.protocol &&
      last.first.hostPort + last.count === port.hostPort &&
      last.first.containerPort + last.count === port.containerPort;
    if (last && follows) last.count++;
    else runs.push({ first: port, count: 1 });
  }
  const range = (first: number, count: number) => (count === 1 ? `${first}` : `${first}-${first + count - 1}`);
  return runs
    .map(({ first: { hostIP, hostPort, containerPort, protocol }, count }) => {
      return `${formatHostPort(hostIP, range(hostPort, count))}->${range(containerPort, count)}/${protocol}`;
    })
    .join(', ');
}

/** As `docker port` prints them. Throws UserError where that port is not published, or is no port. */
export function portLines({ name, ports }: ContainerReport, wanted: string | undefined): string[] {
  if (wanted === undefined) {
    return ports.map(
      (port) => `${port.containerPort}/${port.protocol} -> ${formatHostPort(port.hostIP, port.hostPort)}`,
    );
  }
  const match = /^(\d+)(?:\/(tcp|udp))?$/.exec(wanted);
  if (!match)
    throw new UserError(`${JSON.stringify(wanted)} is no port; expected containerPort[/proto], such as 80/tcp`);
  const [, number, protocol = 'tcp'] = match;
  const found = ports.filter((port) => port.containerPort === Number(number) && port.protocol === protocol);
  if (found.length === 0) throw new UserError(`no public port ${number}/${protocol} published for ${name}`);
  return found.map((port) => formatHostPort(port.hostIP, port.hostPort));
}

export function networkTable(list: readonly NetworkReport[], withPseudo: boolean): string {
  const rows = list.map(({ id, name, driver, own, subnets, file }) => [
    shortId(id),
    name,
    driver,
    subnets.map(({ subnet }) => subnet).join(' '),
    own ? '' : file,
  ]);
  const pseudo = withPseudo
    ? [
        ['', 'host', '', '', ''],
        ['', 'none', '', '', ''],
      ]
    : [];
  return formatTable([['ID', 'NAME', 'DRIVER', 'SUBNETS', 'MADE BY OTHERS'], ...rows, ...pseudo]);
}

function formatHostPort(hostIP: string, port: number | string): string {
  return `${hostIP.includes(':') ? `[${hostIP}]` : hostIP || '*'}:${port}`;
}

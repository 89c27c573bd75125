/** Published ports in docker's format. */
import { UserError } from '../../../parent/errors.js';
import type { ContainerReport } from '../../../protocol/containers/types.js';
import { type CNIPortMapping, cniSingles } from '../../../protocol/ports/cni-json.js';
import { formatPorts } from '../../../protocol/ports/grammar.js';
import { joined, type PortMapping } from '../../../protocol/ports/port-mapping.js';
import { bracket } from '../../../protocol/ports/port-text.js';

/** The addresses that docker shows for one; the wildcard address is shown for IPv4 and for IPv6. */
export function shownAddresses(hostIP: string): string[] {
  return hostIP === '' ? ['0.0.0.0', '::'] : [hostIP];
}

function formatHostPort(hostIP: string, port: number | string): string {
  return `${bracket(hostIP)}:${port}`;
}

/** Where a single port is published on the host, such as 0.0.0.0:8080 and [::]:8080. */
export function hostPorts({ hostIP, hostPort }: CNIPortMapping): string[] {
  return shownAddresses(hostIP).map((address) => formatHostPort(address, hostPort));
}

/** The column of `docker ps`: those that follow each other are in one. */
export function portsText(
  ports: Iterable<PortMapping>,
  protocol: (mapping: PortMapping) => string = ({ transport }) => transport,
): string {
  return joined(ports)
    .flatMap((mapping) => {
      const { count, host, target } = mapping;
      const inside = `${formatPorts(target.port, count)}/${protocol(mapping)}`;
      return shownAddresses(host.ip).map(
        (address) => `${formatHostPort(address, formatPorts(host.port, count))}->${inside}`,
      );
    })
    .join(', ');
}

/** The lines of `docker port`. Throws UserError if that port is invalid or not published. */
export function portLines({ name, ports: published }: ContainerReport, wanted: string | undefined): string[] {
  const ports = cniSingles(published);
  if (wanted === undefined) {
    return ports.flatMap((port) =>
      hostPorts(port).map((shown) => `${port.containerPort}/${port.protocol} -> ${shown}`),
    );
  }
  const match = /^(\d{1,9})(?:\/(tcp|udp))?$/i.exec(wanted);
  if (!match) {
    throw new UserError(`invalid port ${JSON.stringify(wanted)}: expected containerPort[/proto], such as 80/tcp`);
  }
  const number = Number(match[1]);
  const protocol = (match[2] ?? 'tcp').toLowerCase();
  const found = ports.filter((port) => port.containerPort === number && port.protocol === protocol);
  if (found.length === 0) throw new UserError(`no public port '${number}/${protocol}' published for ${name}`);
  return found.flatMap(hostPorts);
}

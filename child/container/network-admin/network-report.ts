import { statSync } from 'node:fs';
import type { ContainerReport, NetworkReport } from '../../../protocol/containers/types.js';
import { isInternal, type Network, subnetsOf } from '../network/network.js';

/** The report of a network. @param containers the reports of all containers, on the network or not */
export function networkReport(network: Network, containers: readonly ContainerReport[]): NetworkReport {
  const members = containers.flatMap((report) =>
    report.attachments
      .filter((attachment) => attachment.network === network.name)
      .map(({ mac, ips }) => [report.id, { name: report.name, mac, ips }] as const),
  );
  return {
    name: network.name,
    id: network.id,
    driver: network.driver,
    own: network.own,
    file: network.file,
    ...createdOf(network),
    subnets: subnetsOf(network).map(({ subnet, gateway }) => ({
      subnet,
      ...(gateway === undefined ? {} : { gateway }),
    })),
    internal: isInternal(network),
    ...(network.egress.length > 0 && { egress: [...network.egress] }),
    labels: network.labels,
    containers: Object.fromEntries(members),
    conflist: network.list,
  };
}

function createdOf({ file }: Network): { created?: string } {
  const written = statSync(file, { throwIfNoEntry: false })?.mtime;
  return written ? { created: written.toISOString() } : {};
}

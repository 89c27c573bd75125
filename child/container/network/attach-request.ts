/** What a container's networks are requested with, and the attachments that follow from it. */

import type { AttachmentReport, AttachmentRequest } from '../../../protocol/containers/types.js';
import type { CNIPortMapping } from '../../../protocol/ports/cni-json.js';
import type { Attachment } from './attach-driver.js';
import type { CNIResult } from './cni/executor/types.js';
import { isInternal, type Network, type ResolvedAttachment } from './network.js';

export interface AttachRequest {
  id: string;
  /** False for a container of another OCI runtime, attached by its hooks. */
  own: boolean;
  name: string;
  hostname: string;
  domainname?: string | undefined;
  extraHosts: { host: string; ip: string }[];
  /** Path of the network namespace, such as /proc/PID/ns/net. */
  netns: string;
  pid: number;
  /** Its egress policy, lines of an egress file; none unless given. */
  egress?: readonly string[];
  /** Its rate limit, as --limit takes it; none unless given. */
  limit?: string | undefined;
  networks: readonly AttachmentRequest[];
  publish: readonly CNIPortMapping[];
  /** The ports that are open on the host already; undefined if they are still to be opened. */
  published?: readonly CNIPortMapping[] | undefined;
}

/** The network of the default route: of the non-internal ones, the first with the highest priority. */
export function mainNetworkOf(resolved: readonly ResolvedAttachment[]): Network | undefined {
  const priority = ({ request }: ResolvedAttachment) => request.gatewayPriority ?? 0;
  return resolved.filter(({ network }) => !isInternal(network)).toSorted((a, b) => priority(b) - priority(a))[0]
    ?.network;
}

/** Name of the interface for the request at that index of the list. */
export function interfaceOf(request: AttachmentRequest, index: number): string {
  return request.interface ?? `eth${index}`;
}

/** The requests with their interfaces: those without a name get the first free ones of eth0, eth1 … */
export function withInterfaces(requests: readonly AttachmentRequest[]): AttachmentRequest[] {
  const used = new Set(requests.flatMap((request) => request.interface ?? []));
  return requests.map((request) => {
    if (request.interface !== undefined) return request;
    let number = 0;
    while (used.has(`eth${number}`)) number++;
    used.add(`eth${number}`);
    return { ...request, interface: `eth${number}` };
  });
}

/** The aliases of a container by network. */
export function aliasesOf(networks: readonly AttachmentRequest[]): Record<string, string[]> {
  return Object.fromEntries(networks.map(({ network, aliases }) => [network, aliases ?? []]));
}

/** The attachments of a container, in the order of its networks. */
export function attachmentsOf({ id, netns }: AttachRequest, resolved: readonly ResolvedAttachment[]): Attachment[] {
  const main = mainNetworkOf(resolved);
  return resolved.map(({ request, network }, index) => {
    const { ip, ip6, mac, aliases } = request;
    const ifname = interfaceOf(request, index);
    return { containerId: id, ifname, network, netns, ip, ip6, mac, aliases, defaultRoute: network === main };
  });
}

export function attachmentReport({ network, ifname }: Attachment, result: CNIResult): AttachmentReport {
  const inside = result.interfaces?.find(({ name, sandbox }) => name === ifname && sandbox);
  return {
    network: network.name,
    interface: ifname,
    mac: inside?.mac ?? '',
    ips: (result.ips ?? []).map(({ address }) => address),
  };
}

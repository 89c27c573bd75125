/** Published ports of containers, which the parent opens on the host. */
import type { PublishedPort } from '../../protocol/containers.js';
import type { PortRange } from '../../protocol/messages.js';
import type { PublishSpec } from '../../protocol/publish-spec.js';
import type { ParentLink } from './parent-link.js';

export class Ports {
  constructor(private readonly parent: ParentLink) {}

  /**
   * Opens all of them on the host, or none; connections wait. Resolves with the ports that were taken.
   * Throws ParentError.
   */
  async reserve(owner: string, publish: readonly PublishSpec[]): Promise<PublishedPort[]> {
    const { hostPorts } = await this.parent.request('ports-reserve', { owner, ranges: toRanges(publish) });
    return publish.map(({ hostIP, containerPort, protocol }, index) => ({
      hostIP,
      hostPort: hostPorts[index] ?? 0,
      containerPort,
      protocol,
    }));
  }

  /** Connections go to that address from now on; "" stands for the stack's own namespace. */
  async activate(owner: string, childIP: string): Promise<void> {
    await this.parent.request('ports-activate', { owner, childIP });
  }

  async release(owner: string): Promise<void> {
    await this.parent.request('ports-release', { owner });
  }

  async owners(): Promise<string[]> {
    return (await this.parent.request('ports-owners', {})).owners;
  }
}

/** Consecutive ports in one, so that thousands fit a message. */
export function toRanges(publish: readonly PublishSpec[]): PortRange[] {
  const ranges: PortRange[] = [];
  for (const spec of publish) {
    const last = ranges.at(-1);
    const follows =
      last !== undefined &&
      last.protocol === spec.protocol &&
      last.hostIP === spec.hostIP &&
      last.hostPortEnd === undefined &&
      spec.hostPortEnd === undefined &&
      last.hostPort > 0 &&
      spec.hostPort === last.hostPort + last.count &&
      spec.containerPort === last.containerPort + last.count;
    if (follows) last.count++;
    else ranges.push({ ...spec, count: 1 });
  }
  return ranges;
}

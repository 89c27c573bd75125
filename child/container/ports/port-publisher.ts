/** Published ports of containers, which the parent opens on the host. */
import { shortId } from '../../../protocol/containers/short-id.js';
import { type CNIPortMapping, cniMappingOf, mappingOf } from '../../../protocol/ports/cni-json.js';
import { joined, type PortMapping, part } from '../../../protocol/ports/port-mapping.js';
import { ContainerError } from '../errors.js';
import type { ParentLink } from '../parent-link.js';
import type { Sweep, Sweepable } from '../storage/sweepable.js';

/** As many as a message holds, whatever they are. */
const MAX_RANGES = 500;

export class PortPublisher implements Sweepable {
  constructor(private readonly parent: ParentLink) {}

  /**
   * Opens all of them on the host, or none; connections wait. Resolves with them, with the ports that were chosen.
   * Throws ParentError, and ContainerError if there are too many for a message.
   */
  async reserve(owner: string, publish: readonly CNIPortMapping[]): Promise<CNIPortMapping[]> {
    const ranges = joined(publish.map(mappingOf));
    if (ranges.length > MAX_RANGES) {
      throw new ContainerError(
        `${ranges.length} separate published ports are too many, ${MAX_RANGES} can be; publish ranges, such as 8000-8999:8000-8999`,
      );
    }
    const { hostPorts } = await this.parent.request('ports-reserve', { owner, ranges: ranges.map(cniMappingOf) });
    const left = hostPorts.values();
    return publish.flatMap((asked) => opened(mappingOf(asked), left)).map(cniMappingOf);
  }

  /** Connections go to that address from now on; "" stands for the stack's own namespace. */
  async activate(owner: string, childIP: string): Promise<void> {
    await this.parent.request('ports-activate', { owner, childIP });
  }

  async release(owner: string): Promise<void> {
    await this.parent.request('ports-release', { owner });
  }

  /** Finds ports of containers that do not run. */
  async sweep({ containers, report }: Sweep): Promise<void> {
    for (const owner of (await this.parent.request('ports-owners', {})).owners) {
      if (await containers.isLive(owner)) continue;
      await report('port', `published ports of ${shortId(owner)}, which does not run`, () =>
        containers.unlessLive(owner, () => this.release(owner)),
      );
    }
  }
}

/** What was opened for a mapping, with the ports of the host where any free one was requested. */
function opened(mapping: PortMapping, chosen: Iterator<number>): PortMapping[] {
  const { count, host } = mapping;
  if (host.port > 0 && host.end === undefined) return [mapping];
  return joined(
    Array.from({ length: count }, (_, offset) => ({
      ...part(mapping, offset),
      host: { ip: host.ip, port: Number(chosen.next().value) },
    })),
  );
}

/** Published ports of containers, which the parent opens on the host. */
import { shortId } from '../../../protocol/containers/short-id.js';
import { type Listener, parseAutoPublish } from '../../../protocol/ports/auto.js';
import { type CNIPortMapping, cniMappingOf, mappingOf } from '../../../protocol/ports/cni-json.js';
import { joined, type PortMapping, part } from '../../../protocol/ports/port-mapping.js';
import type { AutoPortsRequest, Message } from '../../../protocol/wire/messages.js';
import type { ListenerWatch } from '../../listeners/listener-watch.js';
import { ContainerError } from '../errors.js';
import type { ParentLink } from '../parent-link.js';
import type { Sweep, Sweepable } from '../storage/sweepable.js';

/** As many as a message holds, whatever they are. */
const MAX_RANGES = 500;

export class PortPublisher implements Sweepable {
  /** What is watched for publishListeners(), by owner. */
  readonly #watches = new Map<string, ListenerWatch>();

  constructor(
    private readonly parent: ParentLink,
    private readonly send: (message: Message) => void,
    private readonly warn: (line: string) => void,
  ) {}

  /**
   * Opens all of them on the host, or none; connections wait. Resolves with them, with the ports that were chosen.
   * Throws ParentError, and ContainerError if there are too many for a message.
   */
  async reserve(owner: string, publish: readonly CNIPortMapping[]): Promise<CNIPortMapping[]> {
    const ranges = joined(publish.map(mappingOf));
    if (ranges.length > MAX_RANGES) {
      throw new ContainerError(
        `${ranges.length} separate published ports are too many, at most ${MAX_RANGES} are allowed; publish ranges, such as 8000-8999:8000-8999`,
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

  /**
   * Publishes what listens in a container while it does, until release(). Does nothing where it has begun already.
   * Throws ParentError.
   */
  async publishListeners({ netns, ...request }: AutoPortsRequest & { netns: string }): Promise<void> {
    const { owner, rules } = request;
    await this.parent.request('ports-auto', request);
    if (this.#watches.has(owner)) return;
    const { ListenerWatch } = await import('../../listeners/listener-watch.js');
    const report = (listeners: Listener[]) => this.send({ type: 'listeners', container: owner, listeners });
    const watched = rules.map(parseAutoPublish);
    this.#watches.set(owner, new ListenerWatch({ netns, container: true, rules: watched, report, warn: this.warn }));
  }

  /** The ports that publishListeners() has opened, by target. */
  async opened(owner: string): Promise<CNIPortMapping[]> {
    const { ports } = await this.parent.request('ports-opened', { owner });
    return ports.sort((a, b) => a.containerPort - b.containerPort || (a.protocol < b.protocol ? -1 : 1));
  }

  async release(owner: string): Promise<void> {
    // It keeps the container's network namespace.
    this.#watches.get(owner)?.[Symbol.dispose]();
    this.#watches.delete(owner);
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

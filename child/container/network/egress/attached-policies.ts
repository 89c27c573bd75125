/** Policies of containers that are attached, found again by what is recorded of their networks. */
import { errorText } from '../../../../protocol/errors/error-text.js';
import type { Journal, JournalEntry } from '../../storage/journal.js';
import type { AttachDriver } from '../attach-driver.js';
import type { AttachmentStore } from '../attachment-store.js';
import { policedInterface } from '../bridge/driver.js';
import type { Network, ResolvedAttachment } from '../network.js';
import type { NetworkRegistry } from '../registry.js';
import { type EgressPolicies, type PolicyOwner, policyRequestOf } from './policies.js';

export interface AttachedPoliciesDeps {
  states: AttachmentStore;
  networks: NetworkRegistry;
  journal: Journal;
  policies: EgressPolicies;
  driverOf: (network: Network) => AttachDriver;
  warn: (line: string) => void;
}

/** What is recorded of a container. */
export interface PolicyRecord {
  name: string;
  request: { egress: readonly string[] };
}

export class AttachedPolicies {
  constructor(private readonly deps: AttachedPoliciesDeps) {}

  /** Throws ConflictError where a container has policies that cannot be enforced on these networks. */
  check(container: PolicyOwner, networks: readonly ResolvedAttachment[]): void {
    this.deps.policies.check(policyRequestOf(container, networks));
  }

  /** Puts the policies of an attached container into effect, as they are now. Throws ContainerError. */
  async restore(id: string, { name, request: { egress } }: PolicyRecord): Promise<void> {
    const { states, networks, policies } = this.deps;
    const { attachments } = await states.state(id);
    const found = await Promise.all(
      attachments.map(async (report) => ({ report, network: await networks.find(report.network) })),
    );
    const interfaces = found.flatMap(({ report: { interface: ifname, mac, ips }, network }) =>
      network.bridge
        ? [
            policedInterface(
              { containerId: id, ifname, network, mac },
              ips.map((address) => ({ address })),
            ),
          ]
        : [],
    );
    await policies.restore(policyRequestOf({ id, name, egress }, found), interfaces);
  }

  /** The same for all that are attached; one where that fails is cut off from its networks. Throws ContainerError. */
  async recover(recordOf: (id: string) => PolicyRecord | undefined): Promise<void> {
    const { journal, policies, warn } = this.deps;
    for (const id of await journal.ids()) {
      const entry = await journal.read(id);
      if (!entry?.complete || entry.detaching) continue;
      try {
        await this.restore(id, recordOf(id) ?? { name: entry.name, request: { egress: [] } });
      } catch (error) {
        warn(`${entry.name} is cut off, since its egress policies cannot be restored: ${errorText(error)}`);
        await this.#cutOff(id, entry);
      }
    }
    await policies.removeOthers();
  }

  async #cutOff(containerId: string, { attachments }: JournalEntry): Promise<void> {
    const { networks, driverOf } = this.deps;
    for (const { network: name, ifname } of attachments) {
      const network = await networks.find(name).catch(() => undefined);
      if (network) driverOf(network).cutOff?.({ containerId, ifname, network, netns: '', defaultRoute: false });
    }
  }
}

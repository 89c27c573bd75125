/** Policies of containers that are attached, found again by what is recorded of their networks. */
import { errorText } from '../../../../protocol/errors/error-text.js';
import type { Journal, JournalEntry } from '../../storage/journal.js';
import type { Attachment } from '../attach-driver.js';
import type { AttachmentStore } from '../attachment-store.js';
import { policedInterface } from '../bridge/driver.js';
import type { ResolvedAttachment } from '../network.js';
import type { NetworkRegistry } from '../registry.js';
import { type EgressPolicies, type PolicyOwner, policyRequestOf } from './policies.js';

export interface AttachedPoliciesDeps {
  states: AttachmentStore;
  networks: NetworkRegistry;
  journal: Journal;
  policies: EgressPolicies;
  /** Ends all communication through an interface on a bridge, whether its network is known or not; see AttachDriver. */
  cutOff: (attachment: Pick<Attachment, 'containerId' | 'ifname'>) => void;
  warn: (line: string) => void;
}

/** What is recorded of a container. */
export interface PolicyRecord {
  name: string;
  request: { egress: readonly string[]; limit?: string | undefined };
}

export class AttachedPolicies {
  constructor(private readonly deps: AttachedPoliciesDeps) {}

  /** Throws ConflictError where a container has policies that cannot be enforced on these networks. */
  check(container: PolicyOwner, networks: readonly ResolvedAttachment[]): void {
    this.deps.policies.check(policyRequestOf(container, networks));
  }

  /** Puts the policies of an attached container into effect, as they are now. Throws ContainerError. */
  async restore(id: string, { name, request: { egress, limit } }: PolicyRecord): Promise<void> {
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
    await policies.restore(policyRequestOf({ id, name, egress, limit }, found), interfaces);
  }

  /** The same for all that are attached; one where that fails is cut off from its networks. Throws ContainerError. */
  async recover(recordOf: (id: string) => PolicyRecord | undefined): Promise<void> {
    const { journal, networks, policies, warn } = this.deps;
    const policed = await policies.idsOfParent();
    const rulesOf = new Map((await networks.list()).map(({ name, egress }) => [name, egress]));
    for (const id of await journal.ids()) {
      const entry = await journal.read(id);
      if (!entry?.complete || entry.detaching) continue;
      const record = recordOf(id) ?? { name: entry.name, request: { egress: [] } };
      const rules = [record.request.egress, ...entry.attachments.map(({ network }) => rulesOf.get(network) ?? [])];
      // The file of a network may be gone; where that had a policy, the parent has it.
      if (rules.flat().length === 0 && record.request.limit === undefined && !policed.includes(id)) continue;
      try {
        await this.restore(id, record);
      } catch (error) {
        warn(`${entry.name} is cut off, since its egress policies cannot be restored: ${errorText(error)}`);
        this.#cutOff(id, entry);
      }
    }
    await policies.removeOthers(policed);
  }

  #cutOff(containerId: string, { attachments }: JournalEntry): void {
    // Before its interfaces: whoever looks at them meanwhile must not restore them.
    this.deps.policies.cutOff(containerId);
    for (const { ifname } of attachments) this.deps.cutOff({ containerId, ifname });
  }
}

/** Makes a new DHCP daemon adopt the leases of running containers after the previous one was lost. */
import { errorText } from '../../../../protocol/errors/error-text.js';
import type { Journal } from '../../storage/journal.js';
import { type Network, usesDHCP } from '../network.js';

export interface LeaseRenewalDeps {
  networks: { list(): Promise<Network[]> };
  journal: Journal;
  attacher: { renewLeases(id: string): Promise<void> };
  /** Runs the task while no other task starts or ends the container, or changes its networks. */
  exclusively: (id: string, task: () => Promise<void>) => Promise<void>;
  warn: (line: string) => void;
}

export class LeaseRenewal {
  #running = false;

  constructor(private readonly deps: LeaseRenewalDeps) {}

  /** Never throws. If the daemon is lost again meanwhile, its next start adopts them: otherwise this might never end. */
  async run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    const { networks, journal, attacher, exclusively, warn } = this.deps;
    try {
      if (!(await networks.list()).some(usesDHCP)) return;
      for (const id of await journal.ids()) await exclusively(id, () => attacher.renewLeases(id));
    } catch (error) {
      warn(`cannot renew the leases of containers: ${errorText(error)}`);
    } finally {
      this.#running = false;
    }
  }
}

/** Attaches containers to overlay networks: to their bridge, where the network is set up and this host a member. */
import { ConflictError } from '../../errors.js';
import type { AttachDriver, Attachment, StepRunner } from '../attach-driver.js';
import type { BridgeDriver } from '../bridge/driver.js';
import type { CNIResult } from '../cni/executor/types.js';
import type { Network } from '../network.js';

export class OverlayDriver implements AttachDriver {
  constructor(
    private readonly bridges: BridgeDriver,
    private readonly overlays: { problemOf: (network: Network) => Promise<string | undefined> },
  ) {}

  async attach(attachment: Attachment, step: StepRunner): Promise<CNIResult> {
    const { network } = attachment;
    const problem = await this.overlays.problemOf(network);
    if (problem !== undefined)
      throw new ConflictError(`the overlay network ${network.name} cannot be used: ${problem}`);
    return this.bridges.attach(attachment, step);
  }

  cutOff(attachment: Pick<Attachment, 'containerId' | 'ifname'>): void {
    this.bridges.cutOff(attachment);
  }

  detach(attachment: Attachment): Promise<void> {
    return this.bridges.detach(attachment);
  }

  release(attachment: Pick<Attachment, 'containerId' | 'network'>): Promise<void> {
    return this.bridges.release(attachment);
  }

  check(attachment: Attachment): Promise<void> {
    return this.bridges.check(attachment);
  }
}

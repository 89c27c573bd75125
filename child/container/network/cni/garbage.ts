/** Compares the CNI cache of networks that plugins set up with the live containers. */
import { shortId } from '../../../../protocol/containers/short-id.js';
import { errorText } from '../../../../protocol/errors/error-text.js';
import type { Sweep, Sweepable } from '../../storage/sweepable.js';
import type { Network } from '../network.js';
import type { CNI } from './executor/chain.js';
import type { AttachmentId } from './executor/types.js';

export interface CNIGarbageDeps {
  networks: { list(): Promise<Network[]> };
  cni: CNI;
  warn: (line: string) => void;
}

export class CNIGarbage implements Sweepable {
  constructor(private readonly deps: CNIGarbageDeps) {}

  async sweep({ containers, report, repair }: Sweep): Promise<void> {
    const { networks, cni, warn } = this.deps;
    for (const network of await networks.list()) {
      if (network.bridge) continue;
      const valid: AttachmentId[] = [];
      for (const { containerId, ifname } of await cni.attachments(network.name).catch(() => [])) {
        if (await containers.isLive(containerId)) {
          valid.push({ containerId, ifname });
          continue;
        }
        await report('attachment', `${ifname} of ${shortId(containerId)} on ${network.name}`, () =>
          cni.del(network.list, { containerId, ifname }, { netns: '', args: {}, capabilityArgs: {} }),
        );
      }
      // Other CNI runtimes may have attachments on their networks.
      if (repair && network.own) await cni.gc(network.list, valid).catch((error: unknown) => warn(errorText(error)));
    }
  }
}

/**
 * Networks of others, and those of ours that only the plugins can set up: attached by the chain of CNI plugins that the
 * network's configuration names.
 *
 * Where the real host-local gives the addresses, it would refuse a container that comes back with the same interface, and
 * it forgets the address at DEL. So a container's addresses are noted, and asked for again.
 */
import { join } from 'node:path';
import type { PublishSpec } from '../../protocol/publish-spec.js';
import { RouteSocket } from '../netlink/route.js';
import type { AttachDriver, Attachment, StepRunner } from './attach-driver.js';
import type { CNI } from './cni/chain.js';
import type { CNIResult, PluginConf, Runtime } from './cni/types.js';
import { Ipam } from './ipam.js';
import { rangeSetsOf } from './networks.js';
import { readJSON, remove, writeJSON } from './state-files.js';

/** Where host-local keeps addresses unless told. */
const HOST_LOCAL_DIRECTORY = '/var/lib/cni/networks';

export class CNIDriver implements AttachDriver {
  constructor(
    private readonly cni: CNI,
    /** Where addresses are noted that containers hold. */
    private readonly heldDir: string,
    /** What a container publishes, for plugins that want to know. */
    private readonly published: (containerId: string) => readonly PublishSpec[],
  ) {}

  async attach(attachment: Attachment, step: StepRunner): Promise<CNIResult> {
    const { network, containerId, ifname, netns } = attachment;
    const id = { containerId, ifname };
    const held = await this.#held(attachment);
    // ADD is only for what is not there, and host-local gives no address that is held, not even to its holder.
    if (held.length > 0 || (await this.cni.isAttached(network.name, id))) {
      await step(`cni-del:${ifname}`, async () => {
        await this.cni.del(network.list, id, { ...this.#runtime(attachment, []), netns: '' });
        await this.#giveUp(attachment);
      });
    }
    const result = await step(`cni-add:${ifname}`, async () => {
      try {
        return await this.cni.add(network.list, id, this.#runtime(attachment, held));
      } catch (error) {
        // Between DEL and ADD another may have got it; what the user asked for is not given up so.
        if (held.length === 0 || attachment.ip !== undefined || attachment.ip6 !== undefined) throw error;
        return this.cni.add(network.list, id, this.#runtime(attachment, []));
      }
    });
    const ips = (result.ips ?? []).map(({ address }) => address);
    await step(`address:${ifname}`, () => writeJSON(this.#heldFile(attachment), ips));
    if (!attachment.defaultRoute) {
      await step(`routes:${ifname}`, () => {
        using inside = new RouteSocket(netns);
        const link = inside.link(ifname);
        if (link) inside.deleteDefaultRoutes(link.index);
      });
    }
    return result;
  }

  async detach(attachment: Attachment): Promise<void> {
    const { network, containerId, ifname } = attachment;
    await this.cni.del(network.list, { containerId, ifname }, this.#runtime(attachment, []));
    await this.#hold(attachment);
  }

  async release(attachment: Pick<Attachment, 'containerId' | 'network'>): Promise<void> {
    await remove(this.#heldFile(attachment));
    await this.#giveUp(attachment);
  }

  async check({ network, containerId, ifname, netns }: Attachment): Promise<void> {
    await this.cni.status(network.list);
    await this.cni.check(network.list, { containerId, ifname }, { netns, args: {}, capabilityArgs: {} });
  }

  #runtime({ containerId, netns, ip, ip6, mac, aliases }: Attachment, held: readonly string[]): Runtime {
    const plain = held.map((cidr) => cidr.replace(/\/.*$/, ''));
    const address = ip ?? plain.find((text) => !text.includes(':'));
    const address6 = ip6 ?? plain.find((text) => text.includes(':'));
    const addresses = [address, address6].filter((text) => text !== undefined);
    const ports = this.published(containerId).filter(({ hostPort }) => hostPort > 0);
    return {
      netns,
      args: {
        IgnoreUnknown: '1',
        ...(address === undefined ? {} : { IP: address }),
        ...(mac === undefined ? {} : { MAC: mac }),
      },
      capabilityArgs: {
        ...(addresses.length > 0 ? { ips: addresses } : {}),
        ...(mac === undefined ? {} : { mac }),
        ...(aliases ? { aliases } : {}),
        ...(ports.length > 0
          ? {
              portMappings: ports.map(({ hostIP, hostPort, containerPort, protocol }) => ({
                hostPort,
                containerPort,
                protocol,
                // Connections come from the host's side of the stack to the container itself; this is for those inside.
                ...(hostIP === '' ? {} : { hostIP }),
              })),
            }
          : {}),
      },
    };
  }

  /** Keeps the address from others, while the container has no interface. */
  async #hold(attachment: Attachment): Promise<void> {
    const { network, containerId, ifname } = attachment;
    const held = await this.#held(attachment);
    const rangeSets = rangeSetsOf(network.list.plugins[0]);
    const [directory] = localDirectories(network.list.plugins);
    if (directory === undefined || held.length === 0) return;
    const requested = held.map((cidr) => cidr.replace(/\/.*$/, ''));
    await new Ipam(directory)
      .reserve({ network: network.name, containerId, ifname, rangeSets, requested })
      // Somebody else was faster, or the directory is not ours to write.
      .catch(() => remove(this.#heldFile(attachment)));
  }

  /** What is reserved for it, by #hold(). */
  async #giveUp({ network, containerId }: Pick<Attachment, 'containerId' | 'network'>): Promise<void> {
    for (const directory of localDirectories(network.list.plugins)) {
      await new Ipam(directory).release(network.name, containerId).catch(() => {});
    }
  }

  async #held(attachment: Pick<Attachment, 'containerId' | 'network'>): Promise<string[]> {
    const value = await readJSON(this.#heldFile(attachment));
    return Array.isArray(value) ? value.map(String) : [];
  }

  #heldFile({ network, containerId }: Pick<Attachment, 'containerId' | 'network'>): string {
    return join(this.heldDir, `${network.name}-${containerId}.json`);
  }
}

function localDirectories(plugins: readonly PluginConf[]): string[] {
  return plugins.flatMap(({ ipam }) =>
    ipam?.type === 'host-local' ? [typeof ipam.dataDir === 'string' ? ipam.dataDir : HOST_LOCAL_DIRECTORY] : [],
  );
}

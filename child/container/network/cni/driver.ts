/**
 * Networks of others, and those of ours that only the plugins can set up: attached by the chain of CNI plugins that the
 * network's configuration names.
 *
 * Where the real host-local gives the addresses, it would refuse a container that comes back with the same interface, and
 * it forgets the address at DEL. So a container's addresses are noted, and asked for again.
 */
import { join } from 'node:path';
import { errorText } from '../../protocol/error-text.js';
import type { PublishSpec } from '../../protocol/publish-spec.js';
import { RouteSocket } from '../netlink/route.js';
import type { AttachDriver, Attachment, StepRunner } from './attach-driver.js';
import type { CNI } from './cni/chain.js';
import type { CNIResult, Runtime } from './cni/types.js';
import { ConflictError } from './errors.js';
import { canonical } from './ip-address.js';
import { Ipam } from './ipam.js';
import type { NetnsPins } from './netns-pins.js';
import { type Network, networkOf, rangeSetsOf, subnetsOf, usesDHCP, usesStatic } from './networks.js';
import { namesIn, readJSON, remove, writeJSON } from './state-files.js';
import { contains, parseSubnet } from './subnets.js';

/** The addresses that a container keeps on a network, and the directory of host-local that has them. */
interface Held {
  network: string;
  ifname: string;
  directory: string;
  ips: string[];
}

export class CNIDriver implements AttachDriver {
  constructor(
    private readonly cni: CNI,
    /** Of each attachment, from ADD to DEL. */
    private readonly pins: NetnsPins,
    /** Where addresses are noted that containers hold. */
    private readonly heldDir: string,
    /** Where host-local keeps addresses unless the network says. */
    private readonly hostLocalDir: string,
    /** What a container publishes, for plugins that want to know. */
    private readonly published: (containerId: string) => readonly PublishSpec[],
    private readonly warn: (line: string) => void,
  ) {}

  async attach(attachment: Attachment, step: StepRunner): Promise<CNIResult> {
    const { network, containerId, ifname, netns, ip, ip6 } = attachment;
    if (network.own && usesStatic(network) && ip === undefined && ip6 === undefined) {
      throw new ConflictError(`the network ${network.name} gives no addresses by itself; choose one with --ip`);
    }
    const id = { containerId, ifname };
    const held = await this.#held(attachment);
    // ADD is only for what is not there, and host-local gives no address that is held, not even to its holder.
    if (held.length > 0 || (await this.cni.attachedList(network.name, id))) {
      await step(`cni-del:${ifname}`, async () => {
        await this.#del({ ...attachment, netns: '' });
        await this.#giveUp(attachment);
      });
    }
    await step(`netns:${ifname}`, () => this.pins.pin(pinName(attachment), netns));
    const result = await step(`cni-add:${ifname}`, async () => {
      try {
        return await this.cni.add(network.list, id, this.#runtime(attachment, held));
      } catch (error) {
        // Between DEL and ADD another may have got it; what the user asked for is not given up so.
        if (held.length === 0 || ip !== undefined || ip6 !== undefined) throw error;
        return this.cni.add(network.list, id, this.#runtime(attachment, []));
      }
    });
    const ips = (result.ips ?? []).map(({ address }) => address);
    requireAsked(attachment, ips);
    const [directory] = this.#localDirectories(network);
    if (directory !== undefined) {
      const held: Held = { network: network.name, ifname, directory, ips };
      await step(`address:${ifname}`, () => writeJSON(this.#heldFile(attachment), held));
    }
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
    await this.#del(attachment);
    await this.pins.unpin(pinName(attachment));
    await this.#hold(attachment);
  }

  async release(attachment: Pick<Attachment, 'containerId' | 'network'>): Promise<void> {
    await remove(this.#heldFile(attachment));
    await this.#giveUp(attachment);
  }

  async releaseLost(containerId: string): Promise<void> {
    for (const name of (await namesIn(this.heldDir)).filter((file) => file.endsWith(`-${containerId}.json`))) {
      const held = (await readJSON(join(this.heldDir, name))) as Held | undefined;
      if (held) await new Ipam(held.directory).release(held.network, containerId, held.ifname).catch(() => {});
      await remove(join(this.heldDir, name));
    }
  }

  async lastKnown(network: string, containerId: string, ifname: string): Promise<Network | undefined> {
    const list = await this.cni.attachedList(network, { containerId, ifname });
    return list && networkOf(list, '');
  }

  async check({ network, containerId, ifname, netns }: Attachment): Promise<void> {
    await this.cni.status(network.list);
    await this.cni.check(network.list, { containerId, ifname }, { netns, args: {}, capabilityArgs: {} });
  }

  async #del(attachment: Attachment): Promise<void> {
    const { network, containerId, ifname } = attachment;
    const id = { containerId, ifname };
    const runtime = this.#runtime(attachment, []);
    const netns = (await this.pins.path(pinName(attachment))) ?? attachment.netns;
    const known = await this.cni.attachedList(network.name, id);
    try {
      // The plugin bridge removes the interface first, without which no lease can be given back.
      if (usesDHCP(network)) await this.cni.del(network.list, id, { ...runtime, netns: '' });
      await this.cni.del(network.list, id, { ...runtime, netns });
    } catch (error) {
      if (known) throw error;
      // ADD never succeeded, and has been followed by DEL. A plugin that is missing would fail at this one for ever, and
      // the container could not be removed.
      this.warn(`DEL of what was not attached failed: ${errorText(error)}`);
    }
  }

  #runtime({ network, containerId, netns, ip, ip6, mac, aliases }: Attachment, held: readonly string[]): Runtime {
    const plain = held.map((cidr) => cidr.replace(/\/.*$/, ''));
    const [address, address6] = [
      ip ?? plain.find((text) => !text.includes(':')),
      ip6 ?? plain.find((text) => text.includes(':')),
    ].map((text) => text && withPrefix(network, text));
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
    const [directory] = this.#localDirectories(network);
    if (directory === undefined || held.length === 0) return;
    const requested = held.map((cidr) => cidr.replace(/\/.*$/, ''));
    await new Ipam(directory)
      .reserve({ network: network.name, containerId, ifname, rangeSets, requested })
      // Somebody else was faster, or the directory is not ours to write.
      .catch(() => remove(this.#heldFile(attachment)));
  }

  #localDirectories({ list }: Network): string[] {
    return list.plugins.flatMap(({ ipam }) =>
      ipam?.type === 'host-local' ? [typeof ipam.dataDir === 'string' ? ipam.dataDir : this.hostLocalDir] : [],
    );
  }

  /** What is reserved for it, by #hold(). */
  async #giveUp({ network, containerId }: Pick<Attachment, 'containerId' | 'network'>): Promise<void> {
    for (const directory of this.#localDirectories(network)) {
      await new Ipam(directory).release(network.name, containerId).catch(() => {});
    }
  }

  async #held(attachment: Pick<Attachment, 'containerId' | 'network'>): Promise<string[]> {
    const held = (await readJSON(this.#heldFile(attachment))) as Held | undefined;
    return held?.ips ?? [];
  }

  #heldFile({ network, containerId }: Pick<Attachment, 'containerId' | 'network'>): string {
    return join(this.heldDir, `${network.name}-${containerId}.json`);
  }
}

/** Some that give addresses pass over what is asked for, such as dhcp. Throws ConflictError. */
function requireAsked({ network, ip, ip6 }: Attachment, given: readonly string[]): void {
  const plain = given.map((cidr) => canonical(cidr.replace(/\/.*$/, '')));
  const missing = [ip, ip6].find((asked) => asked !== undefined && !plain.includes(canonical(asked)));
  if (missing === undefined) return;
  const instead = given.join(', ') || 'none';
  throw new ConflictError(
    `the network ${network.name} does not give the address ${missing} but ${instead}; do not ask for one there`,
  );
}

/** The plugin static wants to be told of the prefix. Throws ConflictError. */
function withPrefix(network: Network, ip: string): string {
  if (!usesStatic(network)) return ip;
  const found = subnetsOf(network).find(({ subnet }) => contains(subnet, ip));
  if (found) return `${ip}/${parseSubnet(found.subnet).prefix}`;
  const subnets = subnetsOf(network).map(({ subnet }) => subnet);
  throw new ConflictError(
    `the network ${network.name} does not give the address ${ip}; it has ${subnets.join(', ') || 'addresses of its own'}`,
  );
}

function pinName({ containerId, ifname }: Attachment): string {
  return `${containerId}-${ifname}`;
}

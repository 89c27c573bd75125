/**
 * Attaches containers to networks that need plugins, those of other CNI runtimes and macvlan networks, by the plugins in the
 * network's configuration list.
 *
 * host-local would refuse a container that restarts with the same interface, and releases the address at DEL. So the
 * addresses of a container are recorded and reserved between its runs, and requested at the next ADD.
 */

import { join } from 'node:path';
import { errorText } from '../../../../protocol/errors/error-text.js';
import { addressOf, cidrContains, parseCIDR } from '../../../../protocol/net/cidr.js';
import { hostLocalRangeSets } from '../../../../protocol/net/host-local.js';
import { canonical, familyOf } from '../../../../protocol/net/ip.js';
import { type CNIPortMapping, cniSingles } from '../../../../protocol/ports/cni-json.js';
import { RouteSocket } from '../../../netlink/route.js';
import { ConflictError } from '../../errors.js';
import { namesIn, readJSON, remove, writeJSON } from '../../storage/atomic-files.js';
import type { AttachDriver, Attachment, StepRunner } from '../attach-driver.js';
import { Ipam } from '../ipam/ipam.js';
import { type Network, networkOf, subnetsOf, usesDHCP, usesStatic } from '../network.js';
import type { CNI } from './executor/chain.js';
import type { CNIResult, Runtime } from './executor/types.js';
import type { NetnsPins } from './netns-pins.js';

/** The addresses that a container keeps on a network, and the directory of host-local with their reservations. */
interface HeldAddresses {
  network: string;
  ifname: string;
  directory: string;
  ips: string[];
}

export interface CNIDriverDeps {
  cni: CNI;
  /** Keep the network namespace of each attachment from ADD to DEL. */
  pins: NetnsPins;
  /** Where the addresses that containers hold are recorded. */
  heldDir: string;
  /** Where host-local keeps reservations unless the network configures it. */
  hostLocalDir: string;
  /** What a container publishes, for plugins with that capability. */
  published: (containerId: string) => readonly CNIPortMapping[];
  warn: (line: string) => void;
}

export class CNIDriver implements AttachDriver {
  constructor(private readonly deps: CNIDriverDeps) {}

  async attach(attachment: Attachment, step: StepRunner): Promise<CNIResult> {
    const { network, containerId, ifname, netns, ip, ip6 } = attachment;
    if (network.own && usesStatic(network) && ip === undefined && ip6 === undefined) {
      throw new ConflictError(`the network ${network.name} assigns no addresses by itself; choose one with --ip`);
    }
    const id = { containerId, ifname };
    const held = await this.#held(attachment);
    // ADD fails for an existing attachment, and host-local does not assign a reserved address, even to its owner.
    if (held.length > 0 || (await this.deps.cni.attachedList(network.name, id))) {
      await step(`cni-del:${ifname}`, async () => {
        await this.#del({ ...attachment, netns: '' });
        await this.#releaseHeld(attachment);
      });
    }
    await step(`netns:${ifname}`, () => this.deps.pins.pin(pinName(attachment), netns));
    const result = await step(`cni-add:${ifname}`, async () => {
      try {
        return await this.deps.cni.add(network.list, id, this.#runtime(attachment, held));
      } catch (error) {
        // Another container may have got the address between DEL and ADD; a user-requested address is never dropped.
        if (held.length === 0 || ip !== undefined || ip6 !== undefined) throw error;
        return this.deps.cni.add(network.list, id, this.#runtime(attachment, []));
      }
    });
    const ips = (result.ips ?? []).map(({ address }) => address);
    requireRequested(attachment, ips);
    const [directory] = this.#localDirectories(network);
    if (directory !== undefined) {
      const held: HeldAddresses = { network: network.name, ifname, directory, ips };
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
    await this.deps.pins.unpin(pinName(attachment));
    await this.#holdAddresses(attachment);
  }

  async release(attachment: Pick<Attachment, 'containerId' | 'network'>): Promise<void> {
    await remove(this.#heldFile(attachment));
    await this.#releaseHeld(attachment);
  }

  async releaseLost(containerId: string): Promise<void> {
    for (const name of (await namesIn(this.deps.heldDir)).filter((file) => file.endsWith(`-${containerId}.json`))) {
      const held = (await readJSON(join(this.deps.heldDir, name))) as HeldAddresses | undefined;
      if (held) await new Ipam(held.directory).release(held.network, containerId, held.ifname).catch(() => {});
      await remove(join(this.deps.heldDir, name));
    }
  }

  async lastKnown(network: string, containerId: string, ifname: string): Promise<Network | undefined> {
    const list = await this.deps.cni.attachedList(network, { containerId, ifname });
    return list && networkOf(list, '');
  }

  async check({ network, containerId, ifname, netns }: Attachment): Promise<void> {
    await this.deps.cni.status(network.list);
    await this.deps.cni.check(network.list, { containerId, ifname }, { netns, args: {}, capabilityArgs: {} });
  }

  async #del(attachment: Attachment): Promise<void> {
    const { network, containerId, ifname } = attachment;
    const id = { containerId, ifname };
    const runtime = this.#runtime(attachment, []);
    const netns = (await this.deps.pins.path(pinName(attachment))) ?? attachment.netns;
    const known = await this.deps.cni.attachedList(network.name, id);
    try {
      // The plugin bridge removes the interface first, without which no lease can be released.
      if (usesDHCP(network)) await this.deps.cni.del(network.list, id, { ...runtime, netns: '' });
      await this.deps.cni.del(network.list, id, { ...runtime, netns });
    } catch (error) {
      if (known) throw error;
      // ADD never succeeded, and was followed by DEL. A missing plugin would make this DEL fail forever, and the container
      // could not be removed.
      this.deps.warn(`DEL of an interface that was not attached failed: ${errorText(error)}`);
    }
  }

  #runtime({ network, containerId, netns, ip, ip6, mac, aliases }: Attachment, held: readonly string[]): Runtime {
    const ips = held.map(addressOf);
    const [address, address6] = [
      ip ?? ips.find((text) => familyOf(text) === 4),
      ip6 ?? ips.find((text) => familyOf(text) === 6),
    ].map((text) => text && withPrefix(network, text));
    const addresses = [address, address6].filter((text) => text !== undefined);
    const ports = cniSingles(this.deps.published(containerId).filter(({ hostPort }) => hostPort > 0));
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
                // Connections from the host lead to the container itself; these mappings are for clients in the stack.
                ...(hostIP === '' ? {} : { hostIP }),
              })),
            }
          : {}),
      },
    };
  }

  /** Reserves the address while the container has no interface. */
  async #holdAddresses(attachment: Attachment): Promise<void> {
    const { network, containerId, ifname } = attachment;
    const held = await this.#held(attachment);
    const rangeSets = hostLocalRangeSets(network.list.plugins[0]?.ipam);
    const [directory] = this.#localDirectories(network);
    if (directory === undefined || held.length === 0) return;
    const requested = held.map(addressOf);
    await new Ipam(directory)
      .reserve({ network: network.name, containerId, ifname, rangeSets, requested })
      // Another container was faster, or the directory is not writable.
      .catch(() => remove(this.#heldFile(attachment)));
  }

  #localDirectories({ list }: Network): string[] {
    return list.plugins.flatMap(({ ipam }) =>
      ipam?.type === 'host-local' ? [typeof ipam.dataDir === 'string' ? ipam.dataDir : this.deps.hostLocalDir] : [],
    );
  }

  /** Releases what #holdAddresses() has reserved. */
  async #releaseHeld({ network, containerId }: Pick<Attachment, 'containerId' | 'network'>): Promise<void> {
    for (const directory of this.#localDirectories(network)) {
      await new Ipam(directory).release(network.name, containerId).catch(() => {});
    }
  }

  async #held(attachment: Pick<Attachment, 'containerId' | 'network'>): Promise<string[]> {
    const held = (await readJSON(this.#heldFile(attachment))) as HeldAddresses | undefined;
    return held?.ips ?? [];
  }

  #heldFile({ network, containerId }: Pick<Attachment, 'containerId' | 'network'>): string {
    return join(this.deps.heldDir, `${network.name}-${containerId}.json`);
  }
}

/** Some IPAM plugins, such as dhcp, ignore requested addresses. Throws ConflictError. */
function requireRequested({ network, ip, ip6 }: Attachment, ips: readonly string[]): void {
  const assigned = ips.map((cidr) => canonical(addressOf(cidr)));
  const missing = [ip, ip6].find((requested) => requested !== undefined && !assigned.includes(canonical(requested)));
  if (missing === undefined) return;
  const instead = ips.join(', ') || 'none';
  throw new ConflictError(
    `the network ${network.name} does not assign the address ${missing} but ${instead}; do not request one there`,
  );
}

/** The plugin static requires a prefix length. Throws ConflictError. */
function withPrefix(network: Network, ip: string): string {
  if (!usesStatic(network)) return ip;
  const found = subnetsOf(network).find(({ subnet }) => cidrContains(subnet, ip));
  const prefix = found && parseCIDR(found.subnet)?.subnet.prefix;
  if (prefix !== undefined) return `${ip}/${prefix}`;
  const subnets = subnetsOf(network).map(({ subnet }) => subnet);
  throw new ConflictError(
    `the network ${network.name} does not assign the address ${ip}; it has ${subnets.join(', ') || 'addresses of its own'}`,
  );
}

function pinName({ containerId, ifname }: Attachment): string {
  return `${containerId}-${ifname}`;
}

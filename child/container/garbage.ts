/**
 * Compares what should be with what is: the journal and the records against the kernel's devices and rules, the files of
 * addresses and names, and the ports that the parent holds. Shows the differences, or repairs them.
 */
import { readdir } from 'node:fs/promises';
import type { GarbageReport } from '../../protocol/containers.js';
import { errorText } from '../../protocol/error-text.js';
import { RouteSocket } from '../netlink/route.js';
import type { Attachments } from './attachments.js';
import { DEVICE_MARK } from './bridge-driver.js';
import type { CNI } from './cni/chain.js';
import type { AttachmentId } from './cni/types.js';
import type { Containers } from './containers.js';
import { elementsOf, type Firewall, type FirewallElement } from './firewall.js';
import type { Ipam } from './ipam.js';
import type { Journal, JournalEntry } from './journal.js';
import type { KeyedLock } from './lock.js';
import type { Names } from './names.js';
import { firewallBridge, type Networks } from './networks.js';
import { startTimeOf } from './oci-runtime.js';
import type { PeerBook } from './peer-book.js';
import type { Ports } from './ports.js';

export class GarbageCollector {
  constructor(
    private readonly stack: string,
    private readonly containers: Containers,
    private readonly attachments: Attachments,
    private readonly networks: Networks,
    private readonly journal: Journal,
    private readonly ipam: Ipam,
    private readonly names: Names,
    private readonly peers: PeerBook,
    private readonly ports: Ports,
    private readonly firewall: Firewall,
    private readonly cni: CNI,
    /** Held for containers that are not ours. */
    private readonly locks: KeyedLock,
    private readonly warn: (line: string) => void,
  ) {}

  /** What is to be repaired: nothing, what nobody can miss, or also containers of which too little is known. */
  async run(repairs: 'none' | 'safe' | 'all'): Promise<GarbageReport[]> {
    const repair = repairs !== 'none';
    const found: GarbageReport[] = [];
    const note = async (kind: GarbageReport['kind'], what: string, mend: () => Promise<unknown> | unknown) => {
      let repaired = false;
      if (repair) {
        try {
          await mend();
          repaired = true;
        } catch (error) {
          this.warn(`cannot repair ${what}: ${errorText(error)}`);
        }
      }
      found.push({ kind, what, repaired });
    };
    for (const id of repairs === 'safe' ? [] : this.containers.records.broken()) {
      const directory = this.containers.records.directoryOf(id);
      await note('directory', `${directory}, whose container cannot be told`, () =>
        this.containers.records.removeBroken(id),
      );
    }
    await this.#attachmentsOf(note);
    await this.#reservations(note, repair);
    await this.#devices(note);
    await this.#rules(note);
    for (const owner of await this.ports.owners()) {
      if (await this.lives(owner)) continue;
      await note('port', `published ports of ${owner.slice(0, 12)}, which does not run`, () =>
        this.#unlessItLives(owner, () => this.ports.release(owner)),
      );
    }
    await this.containers.whileNamed(() => this.#names(note));
    for (const id of this.peers.ids()) {
      if (await this.lives(id)) continue;
      await note('meta', `meta.json of ${id.slice(0, 12)}, which does not run`, () =>
        this.#unlessItLives(id, () => this.peers.leave(id)),
      );
    }
    for (const { id, name } of this.containers.records.all()) {
      const known = this.peers.nameOf(id);
      if (known === undefined || known === name) continue;
      await note('meta', `meta.json of ${name}, where it is ${known}`, () => this.containers.introduce(id));
    }
    for (const id of await this.peers.check(repair)) {
      found.push({ kind: 'hosts', what: `hosts of ${id.slice(0, 12)}`, repaired: repair });
    }
    return found;
  }

  async #names(note: Note): Promise<void> {
    for (const name of await this.containers.strayNames()) {
      await note('name', `${name}, which no container has`, () => this.names.drop(name));
    }
    for (const { id, name } of this.containers.records.all()) {
      if ((await this.names.owner(name)) === id) continue;
      await note('name', `${name} of ${id.slice(0, 12)}, which is not recorded`, () => this.names.acquire(name, id));
    }
  }

  /** Takes away what containers that others run have left, whose process is gone. */
  async forgetDead(): Promise<void> {
    for (const id of await this.journal.ids()) {
      if (this.containers.records.get(id) || (await this.lives(id))) continue;
      await this.#unlessItLives(id, () => this.attachments.detach(id, { addresses: true }));
    }
  }

  /** What the journal knows of containers that are gone. */
  async #attachmentsOf(note: Note): Promise<void> {
    for (const id of await this.journal.ids()) {
      if (await this.lives(id)) continue;
      // The addresses of those that we run are theirs until they are removed.
      const addresses = this.containers.records.get(id) === undefined;
      await note('attachment', `network of ${id.slice(0, 12)}, which does not run`, () =>
        this.#unlessItLives(id, () => this.attachments.detach(id, { addresses })),
      );
    }
  }

  /**
   * Addresses that no container holds. Other CNI runtimes may share the directory, and their ids say nothing to us: so
   * only those count that have the form of ours, or are known from the journal.
   */
  async #reservations(note: Note, repair: boolean): Promise<void> {
    for (const network of await this.ipam.networks()) {
      for (const { ip, containerId, ifname } of await this.ipam.list(network)) {
        const { records } = this.containers;
        const ours = /^[0-9a-f]{64}$/.test(containerId);
        if (!ours || records.get(containerId) || records.broken().includes(containerId)) continue;
        if (await this.lives(containerId)) continue;
        await note('reservation', `${ip} on ${network} of ${containerId.slice(0, 12)}, which does not exist`, () =>
          this.ipam.release(network, containerId, ifname),
        );
      }
    }
    for (const network of await this.networks.list()) {
      if (network.bridge) continue;
      const valid: AttachmentId[] = [];
      const cached = await this.cni.attachments(network.name).catch(() => []);
      for (const { containerId, ifname } of cached) {
        if (await this.lives(containerId)) {
          valid.push({ containerId, ifname });
          continue;
        }
        await note('attachment', `${ifname} of ${containerId.slice(0, 12)} on ${network.name}`, () =>
          this.cni.del(network.list, { containerId, ifname }, { netns: '', args: {}, capabilityArgs: {} }),
        );
      }
      // Of networks of others we do not know all that is valid.
      if (repair && network.own)
        await this.cni.gc(network.list, valid).catch((error: unknown) => this.warn(errorText(error)));
    }
  }

  async #devices(note: Note): Promise<void> {
    using socket = new RouteSocket();
    for (const { name, alias } of socket.links()) {
      if (!alias.startsWith(DEVICE_MARK)) continue;
      const [id = ''] = alias.slice(DEVICE_MARK.length).split(' ');
      if (await this.lives(id)) continue;
      await note('device', `${name} of ${id.slice(0, 12)}, which does not run`, () => socket.deleteLink(name));
    }
  }

  /** Bridges and rules of networks that are gone, and the other way round. */
  async #rules(note: Note): Promise<void> {
    using socket = new RouteSocket();
    // Before the networks are listed: one that is being made has no bridge before its file.
    const links = socket.links().filter(({ name, kind }) => kind === 'bridge' && /^(rootless0$|rn-)/.test(name));
    const present = await this.firewall.elements();
    const bridges = (await this.networks.list()).map(firewallBridge).filter((bridge) => bridge !== undefined);
    const wanted = bridges.flatMap(elementsOf);
    for (const element of present.filter((one) => !wanted.some((other) => isSame(one, other)))) {
      await note('firewall', `${element.value} in the set ${element.set}, of no network`, () =>
        this.firewall.drop(element),
      );
    }
    for (const { name } of links) {
      const bridge = bridges.find(({ device }) => device === name);
      if (!bridge) {
        await note('device', `${name}, whose network is gone`, () => socket.deleteLink(name));
      } else if (!elementsOf(bridge).every((one) => present.some((other) => isSame(one, other)))) {
        await note('firewall', `rules of ${name}, which are missing`, () => this.firewall.restore(bridge));
      }
    }
  }

  /** Repairs something of a container, unless it is started meanwhile. */
  #unlessItLives(id: string, mend: () => Promise<void>): Promise<void> {
    if (this.containers.records.get(id)) return this.containers.whileStopped(id, mend);
    return this.locks.run(id, async () => {
      if (!(await this.lives(id))) await mend();
    });
  }

  /** Whether a container is to have a network now. */
  async lives(id: string): Promise<boolean> {
    if (this.containers.records.get(id)) return this.containers.isAttached(id);
    const entry = await this.journal.read(id);
    return entry !== undefined && !entry.detaching && (await this.#foreignLives(entry));
  }

  /** Of a container that somebody else runs there is the process, as long as this stack runs. */
  async #foreignLives({ pid, stack }: JournalEntry): Promise<boolean> {
    if (stack !== this.stack || (await startTimeOf(pid)) === '') return false;
    return readdir(`/proc/${pid}/ns`).then(
      () => true,
      () => false,
    );
  }
}

function isSame(one: FirewallElement, other: FirewallElement): boolean {
  return one.set === other.set && one.value === other.value;
}

type Note = (kind: GarbageReport['kind'], what: string, mend: () => Promise<unknown> | unknown) => Promise<void>;

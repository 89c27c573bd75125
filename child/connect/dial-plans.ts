/**
 * Answers the engine's requests: where the connections of a port lead, and whether a client's address can be preserved.
 *
 * Theory of operation. The engine caches the answers (native/src/connect/dialer.h). They depend on addresses and
 * routes of this namespace, on the networks of containers, and on whether containers are served yet. changed() invalidates
 * all of them; an answer that was being computed meanwhile is computed again before it is sent, so that nothing obsolete is
 * cached after a change.
 */
import ipaddr from 'ipaddr.js';
import { type Engine, native } from '../../native/index.js';
import { shortId } from '../../protocol/containers/short-id.js';
import { errorText } from '../../protocol/errors/error-text.js';
import { dialPlan } from '../../protocol/ports/dial-rule.js';
import { type ConnectTarget, decodeTarget } from '../../protocol/wire/messages.js';
import type { ContainerEndpoint } from '../container/network/return-paths.js';
import type { SourceAddresses } from '../source-address/source-addresses.js';

export interface Plan {
  /** Addresses to try, in order, each on the port of the request. */
  ips: string[];
  /** Path of the network namespace that sockets are created in; "" for this one. */
  netns: string;
}

export interface DialPlansOptions {
  engine: Pick<Engine, 'setPlan' | 'setClient' | 'forgetPlans'>;
  sources: SourceAddresses;
  /** Whether an address belongs to this namespace. */
  isLocal: (ip: string) => boolean;
  /** Where the ports of a container lead; undefined where it is on no network. Waits until containers are served. */
  endpointOf: (container: string) => Promise<ContainerEndpoint | undefined>;
  warn: (line: string) => void;
}

export class DialPlans {
  #changes = 0;

  constructor(private readonly options: DialPlansOptions) {}

  /** To be called when earlier answers may have become invalid. */
  changed(): void {
    this.#changes++;
    this.options.engine.forgetPlans();
  }

  /** Answers where connections to a target lead. */
  async answerPlan(target: Buffer): Promise<void> {
    const decoded = decodeTarget(target);
    const { ips, netns } = await this.#stable(() => this.#plan(decoded));
    if (decoded.proto === 'udp') {
      for (const ip of ips) {
        if (ip.startsWith('127.') && ip !== '127.0.0.1') this.#addLoopbackAddress(ip);
      }
    }
    const { engine, warn } = this.options;
    try {
      // Sockets in a container's namespace have its addresses: there is no return path for foreign ones.
      engine.setPlan(target, ips, decoded.source === 'keep' && netns === '', netns);
    } catch (error) {
      // The container has just ended.
      warn(`cannot enter the network of ${shortId(decoded.container)}: ${errorText(error)}`);
      engine.setPlan(target, [], false);
    }
  }

  /** Answers whether the servers of a target can see the client's address. */
  async answerClient(target: Buffer, ip: string): Promise<void> {
    const decoded = decodeTarget(target);
    const preserved = await this.#stable(async () => {
      const { ips, netns } = await this.#plan(decoded);
      return netns === '' ? this.options.sources.preserve(decoded, ips, ip) : undefined;
    });
    this.options.engine.setClient(target, ip, preserved !== undefined, preserved?.mark ?? 0);
  }

  /** As it is now. */
  planOf(target: ConnectTarget): Promise<Plan> {
    return this.#stable(() => this.#plan(target));
  }

  async #plan(target: ConnectTarget): Promise<Plan> {
    const endpoint = target.container === '' ? undefined : await this.options.endpointOf(target.container);
    if (endpoint === undefined) return { ips: dialPlan(target, this.options.isLocal), netns: '' };
    // A server on loopback in the container is reached in its own namespace alone.
    if (target.ip !== '' && ipaddr.parse(target.ip).range() === 'loopback')
      return { ips: [target.ip], netns: endpoint.inside };
    return { ips: endpoint.ips, netns: endpoint.netns ?? '' };
  }

  /** Repeats `find` until nothing has changed during a run of it. */
  async #stable<T>(find: () => Promise<T>): Promise<T> {
    for (;;) {
      const before = this.#changes;
      const found = await find();
      if (before === this.#changes) return found;
    }
  }

  /** So that servers bound to all addresses answer from the requested one; see native/src/return_path/local_address.h. */
  #addLoopbackAddress(ip: string): void {
    try {
      native().addLoopbackAddress(ip);
    } catch (error) {
      this.options.warn(`cannot add the address ${ip} to lo: ${String(error)}`);
    }
  }
}

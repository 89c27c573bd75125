/** What is known of the networks of running containers, a file for each container. */

import { join } from 'node:path';
import type { AttachmentReport } from '../../../protocol/containers/types.js';
import { addressOf } from '../../../protocol/net/cidr.js';
import { firstOfEachFamily } from '../../../protocol/net/ip.js';
import type { CNIPortMapping } from '../../../protocol/ports/cni-json.js';
import { namesIn, readJSON, remove, writeJSON } from '../storage/atomic-files.js';
import type { CNIResult } from './cni/executor/types.js';

/** How a container is attached to its networks. */
export interface AttachState {
  ports: CNIPortMapping[];
  attachments: AttachmentReport[];
  /** CNI results by network. */
  results: Record<string, CNIResult>;
}

export class AttachmentStore {
  /** Gets the names of the networks that a container is on, and of those that it was on. */
  onChange: ((id: string, now: readonly string[], before: readonly string[]) => void) | undefined;

  constructor(private readonly directory: string) {}

  /** The state that was last written; undefined if there is none, or it is incomplete. */
  async read(id: string): Promise<AttachState | undefined> {
    const value = (await readJSON(this.#file(id))) as Partial<AttachState> | null | undefined;
    const { ports, attachments, results } = value ?? {};
    const whole = Array.isArray(ports) && Array.isArray(attachments) && typeof results === 'object' && results !== null;
    return whole ? { ports, attachments, results } : undefined;
  }

  /** Like read(), with an empty state in place of undefined. */
  async state(id: string): Promise<AttachState> {
    return (await this.read(id)) ?? { ports: [], attachments: [], results: {} };
  }

  async write(id: string, state: AttachState): Promise<void> {
    const before = await this.#networks(id);
    await writeJSON(this.#file(id), state);
    this.onChange?.(id, networksOf(state), before);
  }

  async remove(id: string): Promise<void> {
    const before = await this.#networks(id);
    await remove(this.#file(id));
    this.onChange?.(id, [], before);
  }

  async #networks(id: string): Promise<string[]> {
    return this.onChange ? networksOf(await this.state(id)) : [];
  }

  /** Ids of the containers that have a state. */
  async ids(): Promise<string[]> {
    return (await namesIn(this.directory)).map((file) => file.replace(/\.json$/, ''));
  }

  #file(id: string): string {
    return join(this.directory, `${id}.json`);
  }
}

function networksOf({ attachments }: AttachState): string[] {
  return attachments.map(({ network }) => network);
}

/**
 * The address under which published ports are listed: that of the first network, IPv4 before IPv6; "" if the container
 * has none. Connections may lead elsewhere, see return-paths.ts.
 */
export function listedAddress({ attachments }: AttachState): string {
  return firstOfEachFamily(attachments.flatMap(({ ips }) => ips).map(addressOf))[0] ?? '';
}

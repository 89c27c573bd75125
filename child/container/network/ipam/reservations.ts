/**
 * The reserved addresses of a network on disk, in the format of the CNI plugin host-local, so that both can work in one
 * directory: a file for each address, named by it, with `<container>\r\n<interface>`; `last_reserved_ip.<n>` for each
 * range set; and `lock`, which is held with flock(2) for every change.
 *
 * Everything but the wait for the lock is synchronous: the files are small, and so nobody else in this process comes
 * between, whom the lock would have to keep out for no good.
 */

import {
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { native } from '../../native/index.js';
import { errorCode, errorText } from '../../protocol/error-text.js';
import type { AttachmentId } from './cni/types.js';
import { ConflictError } from './errors.js';
import { compareIPs, formatIP, type IPAddress, parseIP } from './ip-address.js';

/** An address cannot be had, or the reservations cannot be read or written. The message is one complete line. */
export class IpamError extends ConflictError {
  override name = 'IpamError';
}

/** An address that has a file. */
export interface Reserved {
  address: IPAddress;
  /** The file's name; that of an IPv6 address can be written in several ways. */
  file: string;
  /**
   * None where the file is empty: whoever wrote it was ended before it could say who it is. The interface is "" in
   * files of old versions of host-local.
   */
  owner: AttachmentId | undefined;
}

/** host-local takes only files that are named like an address for reservations. */
const UNFINISHED = '.unfinished';
const LOCK_RETRY = 5;
const MAX_LOCK_RETRY = 50;

/** The reservations of one network. What changes them is called under the lock only. */
export class Reservations {
  constructor(
    readonly network: string,
    readonly path: string,
  ) {}

  /** Whether anything was ever reserved. */
  exist(): boolean {
    return existsSync(this.path);
  }

  /**
   * Runs the callback while no other process changes the reservations. The directory is made if it is missing.
   * @param timeout milliseconds to wait for the lock
   * @throws IpamError
   */
  async locked<T>(timeout: number, callback: () => T): Promise<T> {
    const lock = join(this.path, 'lock');
    const deadline = Date.now() + timeout;
    return await this.#telling(async () => {
      mkdirSync(this.path, { recursive: true, mode: 0o700 });
      const fd = openSync(lock, 'a', 0o600);
      try {
        for (let pause = LOCK_RETRY; !native().flock(fd, true); pause = Math.min(2 * pause, MAX_LOCK_RETRY)) {
          if (Date.now() >= deadline) {
            throw new IpamError(
              `the reserved addresses of network ${this.network} are locked for more than ${timeout / 1000} s; see who holds the lock with: fuser ${lock}`,
            );
          }
          await sleep(pause);
        }
        rmSync(join(this.path, UNFINISHED), { force: true });
        return callback();
      } finally {
        closeSync(fd);
      }
    });
  }

  /**
   * All of them, by address. Without the lock, one that is just being written can be without owner.
   * @throws IpamError
   */
  read(): Reserved[] {
    const found: Reserved[] = [];
    for (const file of this.#files()) {
      const address = parseIP(file);
      const text = address && this.#text(file);
      if (address && text !== undefined) found.push({ address, file, owner: parseOwner(text) });
    }
    return found.sort((a, b) => compareIPs(a.address, b.address));
  }

  /**
   * The file appears with its content, whenever this process may be ended: link(2) makes a name for a whole file, and
   * fails where the name is taken. (A power failure can still empty it; fsync(2) would cost more than it is worth,
   * since no container outlives that.)
   */
  add(address: IPAddress, owner: AttachmentId): Reserved {
    const file = formatIP(address);
    const unfinished = join(this.path, UNFINISHED);
    writeFileSync(unfinished, `${owner.containerId}\r\n${owner.ifname}`, { mode: 0o600 });
    try {
      linkSync(unfinished, join(this.path, file));
    } finally {
      rmSync(unfinished);
    }
    return { address, file, owner };
  }

  /** Gives what is reserved to another, in one step. */
  rewrite({ file }: Reserved, { containerId, ifname }: AttachmentId): void {
    const unfinished = join(this.path, UNFINISHED);
    writeFileSync(unfinished, `${containerId}\r\n${ifname}`, { mode: 0o600 });
    renameSync(unfinished, join(this.path, file));
  }

  remove({ file }: Reserved): void {
    rmSync(join(this.path, file), { force: true });
  }

  /** The address of a range set that was reserved last, if any was. */
  last(rangeSet: number): IPAddress | undefined {
    return parseIP(this.#text(`last_reserved_ip.${rangeSet}`)?.trim() ?? '');
  }

  /** Not in one step, as host-local does it: what is broken counts as none, and then the search begins anew. */
  setLast(rangeSet: number, address: IPAddress): void {
    writeFileSync(join(this.path, `last_reserved_ip.${rangeSet}`), formatIP(address), { mode: 0o600 });
  }

  #files(): string[] {
    try {
      return readdirSync(this.path);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return [];
      throw this.#error(error);
    }
  }

  /** Undefined where the file does not exist, or not any more. */
  #text(file: string): string | undefined {
    try {
      return readFileSync(join(this.path, file), 'utf8');
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw this.#error(error);
    }
  }

  async #telling<T>(callback: () => Promise<T>): Promise<T> {
    try {
      return await callback();
    } catch (error) {
      // What the system says is told as ours; what others threw tells all by itself.
      throw errorCode(error) === '' ? error : this.#error(error);
    }
  }

  #error(error: unknown): IpamError {
    return new IpamError(`cannot use the reserved addresses of network ${this.network}: ${errorText(error)}`);
  }
}

/** A crash of the machine can leave zeros in place of what was written last. */
function parseOwner(text: string): AttachmentId | undefined {
  const [containerId = '', ifname = ''] = text.replaceAll('\0', '').trim().split('\r\n');
  return containerId === '' ? undefined : { containerId, ifname };
}

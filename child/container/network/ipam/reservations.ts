/**
 * The reserved addresses of a network on disk, in the format of the CNI plugin host-local, so that both can work in one
 * directory: a file for each address, named by it, with `<container>\r\n<interface>`; `last_reserved_ip.<n>` for each
 * range set; and `lock`, which is held with flock(2) for every change.
 *
 * Everything but the wait for the lock is synchronous: the files are small, and nothing else in this process can intervene,
 * which the lock would not exclude.
 */

import {
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { native } from '../../../../native/index.js';
import { errnoName, errorText } from '../../../../protocol/errors/error-text.js';
import { compareIPs, formatIP, type IPAddress, parseIP } from '../../../../protocol/net/ip.js';
import { readRegularFile } from '../../../../protocol/system/regular-file.js';
import { ConflictError } from '../../errors.js';
import { write } from '../../storage/atomic-files.js';
import type { AttachmentId } from '../cni/executor/types.js';

/** An address is not available, or the reservations cannot be read or written. The message is a single line. */
export class IpamError extends ConflictError {
  override name = 'IpamError';
}

/** An address that has a file. */
export interface Reserved {
  address: IPAddress;
  /** The file's name; an IPv6 address has several notations. */
  file: string;
  /**
   * Undefined if the file is empty, because its writer was killed before it had written the owner. The interface is ""
   * in files of old versions of host-local.
   */
  owner: AttachmentId | undefined;
}

/** What was read of a version of a file. */
export interface KnownOwner {
  version: string;
  owner: AttachmentId | undefined;
}

/** Not the name of an address, so that host-local does not treat it as a reservation. */
const TEMPORARY = '.unfinished';
const LOCK_RETRY = 5;
const MAX_LOCK_RETRY = 50;

/** The reservations of one network. Methods that change them must be called under the lock. */
export class Reservations {
  constructor(
    readonly network: string,
    readonly path: string,
    /** Owners that were read, by file: an address is assigned by a look at all of them. */
    private readonly owners: Map<string, KnownOwner> = new Map(),
  ) {}

  /** Whether there has ever been a reservation. */
  exist(): boolean {
    return existsSync(this.path);
  }

  /**
   * Runs the callback while no other process changes the reservations. Creates the directory if it does not exist.
   * @param timeout milliseconds to wait for the lock
   * @throws IpamError
   */
  async locked<T>(timeout: number, callback: () => T): Promise<T> {
    const lock = join(this.path, 'lock');
    const deadline = Date.now() + timeout;
    return await this.#withErrors(async () => {
      mkdirSync(this.path, { recursive: true, mode: 0o700 });
      const fd = openSync(lock, 'a', 0o600);
      try {
        for (let pause = LOCK_RETRY; !native().flock(fd, true); pause = Math.min(2 * pause, MAX_LOCK_RETRY)) {
          if (Date.now() >= deadline) {
            throw new IpamError(
              `the reserved addresses of network ${this.network} have been locked for more than ${timeout / 1000} s; hint: fuser ${lock} shows the holder of the lock`,
            );
          }
          await sleep(pause);
        }
        rmSync(join(this.path, TEMPORARY), { force: true });
        return callback();
      } finally {
        closeSync(fd);
      }
    });
  }

  /**
   * All reservations, sorted by address. Without the lock, one that is just being written may have no owner.
   * @throws IpamError
   */
  read(): Reserved[] {
    const found: Reserved[] = [];
    for (const file of this.#files()) {
      const address = parseIP(file);
      const known = address && this.#owner(file);
      if (address && known) found.push({ address, file, owner: known.owner });
    }
    return found.sort((a, b) => compareIPs(a.address, b.address));
  }

  /**
   * The file appears complete even if this process is killed: link(2) adds the name to a written file, and fails where the
   * name exists. (A power failure can still empty it; fsync(2) is not worth its cost, since no container survives that.)
   */
  add(address: IPAddress, owner: AttachmentId): Reserved {
    const file = formatIP(address);
    const unfinished = join(this.path, TEMPORARY);
    write(unfinished, `${owner.containerId}\r\n${owner.ifname}`);
    try {
      linkSync(unfinished, join(this.path, file));
    } finally {
      rmSync(unfinished);
    }
    return { address, file, owner };
  }

  /** Changes the owner of a reservation atomically. */
  rewrite({ file }: Reserved, { containerId, ifname }: AttachmentId): void {
    const unfinished = join(this.path, TEMPORARY);
    write(unfinished, `${containerId}\r\n${ifname}`);
    renameSync(unfinished, join(this.path, file));
  }

  remove({ file }: Reserved): void {
    this.owners.delete(file);
    rmSync(join(this.path, file), { force: true });
  }

  /** The last address that was reserved from a range set; undefined for none. */
  last(rangeSet: number): IPAddress | undefined {
    return parseIP(this.#text(`last_reserved_ip.${rangeSet}`)?.trim() ?? '');
  }

  /** Not atomic, as in host-local: invalid content counts as none, and the search starts from the beginning. */
  setLast(rangeSet: number, address: IPAddress): void {
    write(join(this.path, `last_reserved_ip.${rangeSet}`), formatIP(address));
  }

  /** Undefined if the file does not exist. */
  #owner(file: string): KnownOwner | undefined {
    const stats = statSync(join(this.path, file), { throwIfNoEntry: false });
    const version = stats && `${stats.ino} ${stats.size} ${stats.ctimeMs}`;
    const known = this.owners.get(file);
    if (known && known.version === version) return known;
    this.owners.delete(file);
    const text = this.#text(file);
    if (text === undefined || version === undefined) return undefined;
    const read = { version, owner: parseOwner(text) };
    // One without an owner is being written.
    if (read.owner) this.owners.set(file, read);
    return read;
  }

  #files(): string[] {
    try {
      return readdirSync(this.path);
    } catch (error) {
      if (errnoName(error) === 'ENOENT') return [];
      throw this.#error(error);
    }
  }

  /** Undefined if the file does not exist. */
  #text(file: string): string | undefined {
    try {
      return readRegularFile(join(this.path, file));
    } catch (error) {
      if (errnoName(error) === 'ENOENT') return undefined;
      throw this.#error(error);
    }
  }

  async #withErrors<T>(callback: () => Promise<T>): Promise<T> {
    try {
      return await callback();
    } catch (error) {
      // System errors are wrapped; other errors are complete.
      throw errnoName(error) === '' ? error : this.#error(error);
    }
  }

  #error(error: unknown): IpamError {
    return new IpamError(
      `cannot use the reserved addresses of network ${this.network}: ${errnoName(error)}: ${errorText(error)}`,
      {
        cause: error,
      },
    );
  }
}

/** A crash of the machine can leave zeros in place of the last content. */
function parseOwner(text: string): AttachmentId | undefined {
  const [containerId = '', ifname = ''] = text.replaceAll('\0', '').trim().split('\r\n');
  return containerId === '' ? undefined : { containerId, ifname };
}

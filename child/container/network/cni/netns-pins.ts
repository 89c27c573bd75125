/**
 * Keeps the network namespaces of ended containers until their interfaces have been removed, by bind mounts in the stack's
 * mount namespace, with which they end. Without the namespace, DEL of some plugins is incomplete: bridge derives from the
 * interface which iptables rules to remove.
 */
import { mkdir, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from '../../run-program.js';
import { write } from '../../storage/atomic-files.js';

/** Magic number of the file system of namespaces (statfs(2)). */
const NSFS_MAGIC = 0x6e736673;

export class NetnsPins {
  constructor(private readonly directory: string) {}

  /** Pins a namespace; replaces one that was pinned under the name before. Throws ProgramError. */
  async pin(name: string, netns: string): Promise<void> {
    await this.unpin(name);
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    write(this.#file(name), '');
    await runProgram('mount', ['--bind', netns, this.#file(name)]);
  }

  /** Path of a pinned namespace; undefined if there is none. */
  async path(name: string): Promise<string | undefined> {
    const file = this.#file(name);
    const fileSystem = await statfs(file).catch(() => undefined);
    return fileSystem?.type === NSFS_MAGIC ? file : undefined;
  }

  /** Does nothing if the name is not pinned. Throws ProgramError. */
  async unpin(name: string): Promise<void> {
    if ((await this.path(name)) !== undefined) await runProgram('umount', ['-l', this.#file(name)]);
    await rm(this.#file(name), { force: true });
  }

  #file(name: string): string {
    return join(this.directory, name);
  }
}

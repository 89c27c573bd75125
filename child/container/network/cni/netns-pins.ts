/**
 * Keeps network namespaces of containers that have ended until their interfaces were taken back, by a bind mount of each
 * in the stack's mount namespace, with which it ends. Plugins that are told at DEL of a namespace that is gone leave some
 * of what they made: bridge, for one, learns from the interface which rules of iptables to remove.
 */
import { mkdir, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from './run-program.js';

/** Of the file system of namespaces (statfs(2)). */
const NSFS_MAGIC = 0x6e736673;

export class NetnsPins {
  constructor(private readonly directory: string) {}

  /** Keeps a namespace, in place of one that was kept under the name before. Throws ProgramError. */
  async pin(name: string, netns: string): Promise<void> {
    await this.unpin(name);
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    await writeFile(this.#file(name), '');
    await runProgram('mount', ['--bind', netns, this.#file(name)]);
  }

  /** Path of a namespace that is kept; undefined where none is. */
  async path(name: string): Promise<string | undefined> {
    const file = this.#file(name);
    const fileSystem = await statfs(file).catch(() => undefined);
    return fileSystem?.type === NSFS_MAGIC ? file : undefined;
  }

  /** Does nothing where none is kept. Throws ProgramError. */
  async unpin(name: string): Promise<void> {
    if ((await this.path(name)) !== undefined) await runProgram('umount', ['-l', this.#file(name)]);
    await rm(this.#file(name), { force: true });
  }

  #file(name: string): string {
    return join(this.directory, name);
  }
}

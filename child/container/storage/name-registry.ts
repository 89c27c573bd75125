/**
 * Names of containers: `<directory>/<name>` holds the id of the one that has it. A name is held until it is released,
 * also while its container is stopped.
 *
 * A file appears with its content (link(2)), so a name is taken by one or by nobody. Renaming takes the new name, then
 * the caller records it with the container, then the old one is released; what is left of it by a crash is told by the
 * container's record (see stale()).
 */
import { link, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../protocol/error-text.js';
import { ConflictError } from './errors.js';
import { namesIn, readText, unfinished } from './state-files.js';

export class Names {
  constructor(private readonly directory: string) {}

  /** For the same id again and again. Throws ConflictError where another has it. */
  async acquire(name: string, id: string): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    const temporary = unfinished(join(this.directory, name));
    await writeFile(temporary, id, { mode: 0o600 });
    try {
      for (;;) {
        try {
          await link(temporary, join(this.directory, name));
          return;
        } catch (error) {
          if (errorCode(error) !== 'EEXIST') throw error;
        }
        const owner = await this.owner(name);
        if (owner === id) return;
        if (owner) {
          throw new ConflictError(
            `the name ${name} is already used by the container ${owner.slice(0, 12)}; choose another one, or remove that container`,
          );
        }
        // What other programs may have left: an empty file, of nobody.
        await rm(join(this.directory, name), { force: true });
      }
    } finally {
      await rm(temporary, { force: true });
    }
  }

  /** The id that has the name; undefined where nobody has. */
  async owner(name: string): Promise<string | undefined> {
    const text = await readText(join(this.directory, name));
    return text?.trim() || undefined;
  }

  /** Does nothing where it belongs to somebody else. */
  async release(name: string, id: string): Promise<void> {
    if ((await this.owner(name)) === id) await rm(join(this.directory, name), { force: true });
  }

  /** Names that belong to nobody, as `belongs` says. */
  async stale(belongs: (name: string, id: string) => boolean): Promise<string[]> {
    const found: string[] = [];
    for (const name of await namesIn(this.directory)) {
      const id = await this.owner(name);
      if (id === undefined || !belongs(name, id)) found.push(name);
    }
    return found;
  }

  /** Whoever has it. */
  async drop(name: string): Promise<void> {
    await rm(join(this.directory, name), { force: true });
  }
}

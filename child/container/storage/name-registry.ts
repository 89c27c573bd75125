/**
 * Names of containers: `<directory>/<name>` holds the id of the container that has the name, until it is released, also
 * while the container is stopped.
 *
 * A file appears together with its content (link(2)), so a name belongs to one container or to none. To rename, the caller
 * acquires the new name, records it with the container, and then releases the old one; after a crash in between the
 * container's record decides (see stale()).
 */
import { linkSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { shortId } from '../../../protocol/containers/short-id.js';
import { errnoName } from '../../../protocol/errors/error-text.js';
import { ConflictError } from '../errors.js';
import { namesIn, readText, temporaryPath, write } from './atomic-files.js';
import { KeyedLock } from './lock.js';
import type { Sweep, Sweepable } from './sweepable.js';

export class NameRegistry implements Sweepable {
  readonly #lock = new KeyedLock();

  constructor(private readonly directory: string) {}

  /** Runs the task while no other task names or renames a container. */
  exclusively<T>(task: () => Promise<T>): Promise<T> {
    return this.#lock.run('', task);
  }

  /** Can be repeated for the same id. Throws ConflictError if another container has the name. */
  async acquire(name: string, id: string): Promise<void> {
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    const temporary = temporaryPath(join(this.directory, name));
    write(temporary, id);
    try {
      for (;;) {
        try {
          linkSync(temporary, join(this.directory, name));
          return;
        } catch (error) {
          if (errnoName(error) !== 'EEXIST') throw error;
        }
        const owner = await this.owner(name);
        if (owner === id) return;
        if (owner) {
          throw new ConflictError(
            `the name ${name} is already used by the container ${shortId(owner)}; choose another one, or remove that container`,
          );
        }
        // An empty file, which other programs may have left, belongs to no container.
        rmSync(join(this.directory, name), { force: true });
      }
    } finally {
      rmSync(temporary, { force: true });
    }
  }

  /** The id of the container that has the name; undefined if none has. */
  async owner(name: string): Promise<string | undefined> {
    const text = await readText(join(this.directory, name));
    return text?.trim() || undefined;
  }

  /** Does nothing if the name belongs to another container. */
  async release(name: string, id: string): Promise<void> {
    if ((await this.owner(name)) === id) rmSync(join(this.directory, name), { force: true });
  }

  /** The names for which `belongs` is false. */
  async stale(belongs: (name: string, id: string) => boolean): Promise<string[]> {
    const found: string[] = [];
    for (const name of await namesIn(this.directory)) {
      const id = await this.owner(name);
      if (id === undefined || !belongs(name, id)) found.push(name);
    }
    return found;
  }

  /** Finds names that no container has, and containers whose name is not registered. */
  async sweep({ containers, report }: Sweep): Promise<void> {
    await this.exclusively(async () => {
      for (const name of await this.stale((name, id) => containers.mayOwnName(id, name))) {
        await report('name', `${name}, which no container has`, () => this.drop(name));
      }
      for (const { id, name } of containers.own()) {
        if ((await this.owner(name)) === id) continue;
        await report('name', `${name} of ${shortId(id)}, which is not recorded`, () => this.acquire(name, id));
      }
    });
  }

  /** Removes a name, whichever container has it. */
  async drop(name: string): Promise<void> {
    rmSync(join(this.directory, name), { force: true });
  }
}

/**
 * Copies of the OCI runtime's state of running containers. The runtime keeps it in the state directory, which may be removed
 * while the stack runs (a logout removes $XDG_RUNTIME_DIR); without it no program could be run in the container any more.
 *
 *   <dataDir>/containers/<id>/runtime/oci/       files of the runtime's own directory for the container
 *   <dataDir>/containers/<id>/runtime/bundle/    config.json
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { shortId } from '../../../protocol/containers/short-id.js';
import { errnoName, errorText } from '../../../protocol/errors/error-text.js';
import { statePath } from '../../../protocol/state/state-layout.js';
import { remove } from '../storage/atomic-files.js';

export class RuntimeCopies {
  constructor(
    private readonly stateDir: string,
    /** Directory of a container's files in the data directory. */
    private readonly directoryOf: (id: string) => string,
    private readonly warn: (line: string) => void,
  ) {}

  /** Makes the copies for a container that has just been started. Never throws: the container runs without them. */
  keep(id: string): void {
    this.#each(id, 'keep', (place, kept, only) => copyFiles(place, kept, only));
  }

  /** Restores what is gone of a running container. Never throws. */
  restore(id: string): void {
    this.#each(id, 'restore', (place, kept, only) => {
      if (existsSync(kept) && !existsSync(place)) copyFiles(kept, place, only);
    });
  }

  /** Removes the copies for a container that has ended. */
  drop(id: string): Promise<void> {
    return remove(join(this.directoryOf(id), 'runtime'));
  }

  #each(id: string, what: string, task: (place: string, kept: string, only?: string) => void): void {
    try {
      for (const [name, place, only] of this.#paths(id)) task(place, join(this.directoryOf(id), 'runtime', name), only);
    } catch (error) {
      // It has ended meanwhile.
      if (errnoName(error) === 'ENOENT') return;
      this.warn(`cannot ${what} the state of the OCI runtime for ${shortId(id)}: ${errorText(error)}`);
    }
  }

  #paths(id: string): [name: string, place: string, only?: string][] {
    return [
      ['oci', join(statePath(this.stateDir, 'oci'), id)],
      ['bundle', join(statePath(this.stateDir, 'containers'), id, 'bundle'), 'config.json'],
    ];
  }
}

/** The regular files in a directory, or the one of that name. */
function copyFiles(from: string, to: string, only?: string): void {
  mkdirSync(to, { recursive: true, mode: 0o700 });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (!entry.isFile() || (only !== undefined && entry.name !== only)) continue;
    copyFileSync(join(from, entry.name), join(to, entry.name));
  }
}

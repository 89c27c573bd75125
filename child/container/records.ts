/**
 * What is known of each container, on disk:
 *
 *   <dataDir>/containers/<id>/container.json   what it is; there from `create` to `rm`
 *   <dataDir>/containers/<id>/run.json         how its last run went, or goes
 *   <dataDir>/containers/<id>/                 hosts, hostname, resolv.conf, meta.json, network-config.json, logs
 */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ContainerRequest } from '../../protocol/containers.js';
import { ConflictError, NoSuchContainerError } from './errors.js';
import { namesIn, readJSON, remove, writeJSON, writeLastingJSON } from './state-files.js';

export interface ContainerRecord {
  id: string;
  name: string;
  hostname: string;
  /** ISO 8601. */
  created: string;
  request: ContainerRequest;
}

export interface RunRecord {
  status: 'starting' | 'running' | 'exited';
  /** Of the run of the stack. */
  stack: string;
  pid?: number;
  /** Tells the process from a later one of its id; see startTimeOf(). */
  startTime?: string;
  exitCode?: number;
  started?: string;
  finished?: string;
}

export class Records {
  readonly #containers = new Map<string, ContainerRecord>();
  readonly #runs = new Map<string, RunRecord>();

  constructor(readonly directory: string) {}

  /**
   * Reads what there is. Directories without a container, of a `create` that was cut short, are removed; those with a
   * meta.json belong to containers of others.
   */
  async load(): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    for (const id of await namesIn(this.directory)) {
      const record = (await readJSON(join(this.directory, id, 'container.json'))) as ContainerRecord | undefined;
      if (record === undefined) {
        if (!existsSync(join(this.directory, id, 'meta.json'))) await remove(join(this.directory, id));
        continue;
      }
      this.#containers.set(id, record);
      const run = (await readJSON(join(this.directory, id, 'run.json'))) as RunRecord | undefined;
      if (run) this.#runs.set(id, run);
    }
  }

  directoryOf(id: string): string {
    return join(this.directory, id);
  }

  get(id: string): ContainerRecord | undefined {
    return this.#containers.get(id);
  }

  run(id: string): RunRecord | undefined {
    return this.#runs.get(id);
  }

  /** In the order of their creation. */
  all(): ContainerRecord[] {
    return [...this.#containers.values()].sort((a, b) => (a.created < b.created ? -1 : 1));
  }

  /** By name, id, or the beginning of an id. Throws NoSuchContainerError, and ConflictError for the beginning of several. */
  find(text: string): ContainerRecord {
    const named = [...this.#containers.values()].find(({ id, name }) => id === text || name === text);
    if (named) return named;
    const matching = text === '' ? [] : [...this.#containers.values()].filter(({ id }) => id.startsWith(text));
    if (matching.length > 1)
      throw new ConflictError(`multiple containers found with the prefix ${text}; name more of the id`);
    if (matching[0]) return matching[0];
    throw new NoSuchContainerError(text);
  }

  async write(record: ContainerRecord): Promise<void> {
    await writeLastingJSON(join(this.directory, record.id, 'container.json'), record);
    this.#containers.set(record.id, record);
  }

  async writeRun(id: string, run: RunRecord): Promise<void> {
    await writeJSON(join(this.directory, id, 'run.json'), run);
    this.#runs.set(id, run);
  }

  /** The record first: what is left of the directory by a crash is removed at the next start. */
  async remove(id: string): Promise<void> {
    await remove(join(this.directory, id, 'container.json'));
    this.#containers.delete(id);
    this.#runs.delete(id);
    await remove(join(this.directory, id));
  }
}

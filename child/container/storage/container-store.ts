/**
 * What is known of each container, on disk:
 *
 *   <dataDir>/containers/<id>/container.json   what it is; there from `create` to `rm`
 *   <dataDir>/containers/<id>/run.json         how its last run went, or goes
 *   <dataDir>/containers/<id>/                 hosts, hostname, resolv.conf, meta.json, network-config.json, logs
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { parseContainerRequest } from '../../protocol/container-schemas.js';
import type { ContainerRequest } from '../../protocol/containers.js';
import { ConflictError, NoSuchContainerError } from './errors.js';
import { namesIn, readText, remove, writeJSON, writeLastingJSON } from './state-files.js';

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

const recordSchema = z.object({
  id: z.string(),
  name: z.string().min(1),
  hostname: z.string(),
  created: z.string(),
  request: z.unknown().transform(parseContainerRequest),
});

const runSchema = z.object({
  status: z.enum(['starting', 'running', 'exited']),
  stack: z.string(),
  pid: z.int().positive().optional(),
  startTime: z.string().optional(),
  exitCode: z.int().optional(),
  started: z.string().optional(),
  finished: z.string().optional(),
});

export class Records {
  readonly #containers = new Map<string, ContainerRecord>();
  readonly #runs = new Map<string, RunRecord>();
  /** Directories whose container cannot be told. */
  readonly #broken = new Set<string>();

  constructor(
    readonly directory: string,
    private readonly warn: (line: string) => void,
  ) {}

  /**
   * Reads what there is. What a `create` or `rm` that was cut short has left is removed, unless `isOfOthers` says that it
   * belongs to a container that we do not run. A container whose record is torn is left out; one of which only the last
   * run cannot be told counts as one whose start was cut short in `stack`.
   */
  async load(stack: string, isOfOthers: (id: string) => boolean): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    for (const id of await namesIn(this.directory)) {
      const file = join(this.directory, id, 'container.json');
      const text = await readText(file);
      if (text === undefined) {
        if (!isOfOthers(id)) await remove(join(this.directory, id));
        continue;
      }
      const record = parse(recordSchema, text);
      if (record?.id !== id) {
        this.#broken.add(id);
        this.warn(
          `the container ${id.slice(0, 12)} is left out, since ${file} cannot be understood; to remove it: rootless-net gc --repair`,
        );
        continue;
      }
      this.#containers.set(id, record);
      await this.#loadRun(id, stack);
    }
  }

  async #loadRun(id: string, stack: string): Promise<void> {
    const file = join(this.directory, id, 'run.json');
    const text = await readText(file);
    if (text === undefined) return;
    const run = parse(runSchema, text);
    if (!run) this.warn(`how the container ${id.slice(0, 12)} ran is not known, since ${file} cannot be understood`);
    this.#runs.set(id, (run as RunRecord | undefined) ?? { status: 'starting', stack });
  }

  /** Ids of the directories whose container cannot be told. */
  broken(): string[] {
    return [...this.#broken];
  }

  async removeBroken(id: string): Promise<void> {
    if (this.#broken.delete(id)) await remove(join(this.directory, id));
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

  /** As if it had never run. */
  async forgetRun(id: string): Promise<void> {
    await remove(join(this.directory, id, 'run.json'));
    this.#runs.delete(id);
  }

  /** The record first: what is left of the directory by a crash is removed at the next start. */
  async remove(id: string): Promise<void> {
    await remove(join(this.directory, id, 'container.json'));
    this.#containers.delete(id);
    this.#runs.delete(id);
    await remove(join(this.directory, id));
  }
}

function parse<T>(schema: z.ZodType<T>, text: string): T | undefined {
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

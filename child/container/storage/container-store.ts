/**
 * The records of containers, on disk:
 *
 *   <dataDir>/containers/<id>/container.json   what the container is; exists from `create` to `rm`
 *   <dataDir>/containers/<id>/run.json         its current or last run
 *   <dataDir>/containers/<id>/                 hosts, hostname, resolv.conf, meta.json, network-config.json, logs
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { parseStoredContainer } from '../../../protocol/containers/schemas.js';
import { shortId } from '../../../protocol/containers/short-id.js';
import type { ContainerRequest } from '../../../protocol/containers/types.js';
import { ConflictError, NoSuchContainerError } from '../errors.js';
import { namesIn, readText, remove, writeDurableJSON, writeJSON } from './atomic-files.js';
import type { Sweep, Sweepable } from './sweepable.js';

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
  /** Id of the run of the stack. */
  stack: string;
  /** The container's first process; see ProcessIdentity. */
  pid?: number;
  startTime?: string;
  bootId?: string;
  pidNamespace?: string;
  /** Its monitor process, where it has one; in the same pid namespace. */
  monitor?: { pid: number; startTime: string };
  /** Its own cgroup, below the mount of cgroup2. */
  cgroup?: string;
  /** Name of the file that the monitor writes its exit code to. */
  exitFile?: string | undefined;
  exitCode?: number;
  /** Why the exit code is unknown. */
  reason?: string;
  started?: string;
  finished?: string;
  /** How often its restart policy has started it since a user did. */
  restarts?: number | undefined;
  /** Whether a user ended it. */
  stopped?: boolean | undefined;
  /** Why it could not be restarted afterwards. */
  failure?: string | undefined;
}

const recordSchema = z.object({
  id: z.string(),
  name: z.string().min(1),
  hostname: z.string(),
  created: z.string(),
  request: z.unknown().transform(parseStoredContainer),
});

const runSchema = z.object({
  status: z.enum(['starting', 'running', 'exited']),
  stack: z.string(),
  pid: z.int().positive().optional(),
  startTime: z.string().optional(),
  bootId: z.string().optional(),
  pidNamespace: z.string().optional(),
  monitor: z.object({ pid: z.int().positive(), startTime: z.string() }).optional(),
  cgroup: z.string().optional(),
  reason: z.string().optional(),
  exitFile: z
    .string()
    .regex(/^[\w.]+$/)
    .optional(),
  exitCode: z.int().optional(),
  started: z.string().optional(),
  finished: z.string().optional(),
  restarts: z.int().nonnegative().optional(),
  stopped: z.boolean().optional(),
  failure: z.string().optional(),
});

/** Gets what changes; not what is read. */
export interface ContainerObserver {
  created(record: ContainerRecord): void;
  /** Another state of a run; with the one before. */
  ran(record: ContainerRecord, run: RunRecord, before: RunRecord | undefined): void;
  removed(record: ContainerRecord): void;
}

export class ContainerStore implements Sweepable {
  observer: ContainerObserver | undefined;
  readonly #containers = new Map<string, ContainerRecord>();
  readonly #runs = new Map<string, RunRecord>();
  /** Directories whose record cannot be parsed. */
  readonly #broken = new Set<string>();

  constructor(
    readonly directory: string,
    private readonly warn: (line: string) => void,
  ) {}

  /**
   * Reads all records. Directories without a record, which an interrupted `create` or `rm` left, are removed, unless
   * `isForeign` is true for them: they belong to containers of other OCI runtimes. A container whose record cannot be parsed
   * is skipped; one with a broken run.json counts as one whose start was interrupted in `stack`.
   */
  async load(stack: string, isForeign: (id: string) => boolean): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    await this.read(stack, isForeign);
  }

  /** Like load(), but does not create the directory; with `isForeign` true for all it changes nothing. */
  async read(stack: string, isForeign: (id: string) => boolean): Promise<void> {
    for (const id of await namesIn(this.directory)) {
      const file = join(this.directory, id, 'container.json');
      const text = await readText(file);
      if (text === undefined) {
        if (!isForeign(id)) await remove(join(this.directory, id));
        continue;
      }
      const record = parse(recordSchema, text);
      if (record?.id !== id) {
        this.#broken.add(id);
        this.warn(`skipping container ${shortId(id)}: cannot parse ${file}; to remove it: rootless-net gc --repair`);
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
    if (!run) this.warn(`the last run of container ${shortId(id)} is unknown: cannot parse ${file}`);
    this.#runs.set(id, (run as RunRecord | undefined) ?? { status: 'starting', stack });
  }

  /** Ids of the directories whose record cannot be parsed. */
  broken(): string[] {
    return [...this.#broken];
  }

  /** Whether a container has that name, or may have it, since its record cannot be parsed. */
  mayOwnName(id: string, name: string): boolean {
    return this.get(id)?.name === name || this.#broken.has(id);
  }

  /** Finds directories whose record cannot be parsed. */
  async sweep({ report, safe }: Sweep): Promise<void> {
    for (const id of safe ? [] : this.broken()) {
      const directory = this.directoryOf(id);
      await report('directory', `${directory}, whose record cannot be parsed`, async () => {
        if (this.#broken.delete(id)) await remove(directory);
      });
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
      throw new ConflictError(`multiple containers found with the prefix ${text}; give more of the id`);
    if (matching[0]) return matching[0];
    throw new NoSuchContainerError(text);
  }

  async write(record: ContainerRecord): Promise<void> {
    await writeDurableJSON(join(this.directory, record.id, 'container.json'), record);
    const isNew = !this.#containers.has(record.id);
    this.#containers.set(record.id, record);
    if (isNew) this.observer?.created(record);
  }

  async writeRun(id: string, run: RunRecord): Promise<void> {
    await writeJSON(join(this.directory, id, 'run.json'), run);
    this.setRunInMemory(id, run);
  }

  /** Like writeRun(), but in memory only. */
  setRunInMemory(id: string, run: RunRecord): void {
    const before = this.#runs.get(id);
    this.#runs.set(id, run);
    const record = this.#containers.get(id);
    if (record) this.observer?.ran(record, run, before);
  }

  /** Removes the record of its runs, as if it had never run. */
  async forgetRun(id: string): Promise<void> {
    await remove(join(this.directory, id, 'run.json'));
    this.#runs.delete(id);
  }

  /**
   * Removes the files of a container, which is still listed until forget(): who no longer finds it finds nothing of it. The
   * record goes first: a directory without one, which a crash leaves, is removed by load().
   */
  async removeFiles(id: string): Promise<void> {
    await remove(join(this.directory, id, 'container.json'));
    try {
      await remove(join(this.directory, id));
    } catch (error) {
      this.forget(id);
      throw error;
    }
  }

  /** To be called when nothing is left of a container. */
  forget(id: string): void {
    const record = this.#containers.get(id);
    this.#containers.delete(id);
    this.#runs.delete(id);
    if (record) this.observer?.removed(record);
  }
}

function parse<T>(schema: z.ZodType<T>, text: string): T | undefined {
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

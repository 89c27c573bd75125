/**
 * Files of runs, in the state directory, which does not outlast the stack:
 *
 *   <stateDir>/containers/<id>/bundle/    config.json for the OCI runtime; the monitor runs there and has its sockets there
 *   <stateDir>/containers/<id>/pid        pid of the container's process, written by the OCI runtime
 *   <stateDir>/containers/<id>/exec-N.*   description and pid of a further program
 *   <stateDir>/exits/<name>               exit code, written by the monitor; see RunRecord.exitFile
 *   <stateDir>/oci/<id>/                  the OCI runtime's own state
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { statePath } from '../../../protocol/state/state-layout.js';
import type { Spec } from '../oci/bundle.js';
import { defaultRuntime, OCIRuntime } from '../oci/runtime.js';
import { namesIn, readJSON, readText, remove } from '../storage/atomic-files.js';
import type { ContainerRecord, ContainerStore } from '../storage/container-store.js';
import { RuntimeCopies } from './runtime-copies.js';

export class RunFiles {
  /** Copies of what the OCI runtime needs to run further programs. */
  readonly copies: RuntimeCopies;
  #execs = 0;

  constructor(
    private readonly stateDir: string,
    private readonly store: ContainerStore,
    warn: (line: string) => void,
  ) {
    this.copies = new RuntimeCopies(stateDir, (id) => store.directoryOf(id), warn);
  }

  /** The OCI runtime that a container is run with. */
  runtimeOf({ request }: ContainerRecord): OCIRuntime {
    return new OCIRuntime(request.runtime ?? defaultRuntime(), statePath(this.stateDir, 'oci'));
  }

  /** Directory of all runs' exit files. */
  get exitsDirectory(): string {
    return statePath(this.stateDir, 'exits');
  }

  /** A new one for each run: the monitor of the run before may be late. */
  exitFile(id: string): string {
    return join(this.exitsDirectory, this.store.run(id)?.exitFile ?? id);
  }

  hasExitFile(id: string): boolean {
    return existsSync(this.exitFile(id));
  }

  /** What the monitor wrote; undefined if it wrote nothing. */
  async exitCode(id: string): Promise<number | undefined> {
    const text = await readText(this.exitFile(id));
    return text === undefined ? undefined : Number(text);
  }

  bundle(id: string): string {
    return join(this.#runDirectory(id), 'bundle');
  }

  pidFile(id: string): string {
    return join(this.#runDirectory(id), 'pid');
  }

  /** The newest file of a container's log, in the data directory. */
  logFile(id: string): string {
    return join(this.store.directoryOf(id), 'container.log');
  }

  /** New paths for a program that is run in a container. */
  execFiles(id: string): { processFile: string; pidFile: string } {
    const path = join(this.#runDirectory(id), `exec-${this.#execs++}`);
    return { processFile: `${path}.json`, pidFile: `${path}.pid` };
  }

  /** The configuration that the OCI runtime was given; undefined if the container does not run. */
  async specOf(id: string): Promise<Spec | undefined> {
    return (await readJSON(join(this.bundle(id), 'config.json'))) as Spec | undefined;
  }

  /** Removes those of a run that has ended; the exit file last, so that its presence shows that something is left. */
  async remove(id: string): Promise<void> {
    await remove(this.#runDirectory(id));
    await this.copies.drop(id);
    await remove(this.exitFile(id));
  }

  /** Removes those of all containers that do not run. */
  async removeUnused(isRunning: (id: string) => boolean): Promise<void> {
    for (const directory of [statePath(this.stateDir, 'containers'), this.exitsDirectory]) {
      for (const name of await namesIn(directory)) {
        if (!isRunning(containerOf(name))) await remove(join(directory, name));
      }
    }
    for (const { id } of this.store.all()) if (!isRunning(id)) await this.copies.drop(id);
  }

  #runDirectory(id: string): string {
    return join(statePath(this.stateDir, 'containers'), id);
  }
}

/** Id of the container that a run's file or directory of that name belongs to. */
export function containerOf(name: string): string {
  return name.replace(/\..*/, '');
}

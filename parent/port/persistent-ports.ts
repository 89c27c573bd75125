/**
 * Persistent ports: a file of the user's, from which they are published again at the next start.
 */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { HostPortIndex } from '../../protocol/ports/host-port-index.js';
import type { PortMapping } from '../../protocol/ports/port-mapping.js';
import { parsePortSpecJSON, portSpecOf } from '../../protocol/ports/rootlesskit-json.js';
import { readRegularFile } from '../../protocol/system/regular-file.js';
import { errnoName, errorText, fileErrorOf, reasonText } from '../errors.js';
import { PortError } from './errors.js';

/** The file cannot be read or written. */
export class PersistentPortsError extends PortError {
  override name = 'PersistentPortsError';
}

/** Ports are listed in the order in which they were added, so that each start gives them the same ids. */
interface Entry extends PortMapping {
  order: number;
}

export class PersistentPorts {
  readonly #ports = new HostPortIndex<Entry>();
  #nextOrder = 0;
  #writing: Promise<void> = Promise.resolve();
  /** Why the file cannot be read; nothing is written over it then. */
  #broken: PersistentPortsError | undefined;

  constructor(readonly path: string) {}

  /** What the file has now. Throws PersistentPortsError if it is broken; it is left unchanged then. */
  async load(): Promise<PortMapping[]> {
    this.#ports.clear();
    this.#broken = undefined;
    let text: string;
    try {
      text = readRegularFile(this.path);
    } catch (error) {
      if (errnoName(error) === 'ENOENT') return [];
      this.#broken = new PersistentPortsError(`cannot read the persistent ports in ${this.path}: ${reasonText(error)}`);
      throw this.#broken;
    }
    try {
      const value: unknown = JSON.parse(text);
      if (!Array.isArray(value)) throw new Error('expected a list of ports');
      for (const item of value as unknown[]) this.#set(parsePortSpecJSON(item));
    } catch (error) {
      this.#ports.clear();
      this.#broken = new PersistentPortsError(`${this.path} is broken: ${errorText(error)}; repair or remove it`);
      throw this.#broken;
    }
    return this.#list();
  }

  /** Whether all of these ports are persistent. */
  has(mapping: PortMapping): boolean {
    return this.#ports.covers(mapping);
  }

  /** Throws PersistentPortsError. */
  async keep(...mappings: readonly PortMapping[]): Promise<void> {
    if (this.#broken) throw this.#broken;
    for (const mapping of mappings) this.#set(mapping);
    await this.#write();
  }

  /** Throws PersistentPortsError. */
  async forget(...mappings: readonly PortMapping[]): Promise<void> {
    let found = 0;
    for (const mapping of mappings) found += this.#ports.delete(mapping).length;
    if (found > 0) await this.#write();
  }

  /** What replaces another entry takes its place. */
  #set(mapping: PortMapping): void {
    const [before] = this.#ports.overlaps(mapping);
    this.#ports.set({ ...mapping, order: before?.order ?? this.#nextOrder++ });
  }

  #list(): PortMapping[] {
    return [...this.#ports]
      .sort((a, b) => a.order - b.order || a.host.port - b.host.port)
      .map(({ order: _, ...mapping }) => mapping);
  }

  /** One after the other; the file is whole at any moment. */
  #write(): Promise<void> {
    const written = this.#writing.then(async () => {
      const text = `${JSON.stringify(this.#list().map(portSpecOf), undefined, 2)}\n`;
      try {
        await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
        // One that a crash has left, or a link, is not written to.
        await rm(`${this.path}.new`, { force: true });
        await writeFile(`${this.path}.new`, text, { mode: 0o600, flag: 'wx' });
        await rename(`${this.path}.new`, this.path);
      } catch (error) {
        throw new PersistentPortsError(
          `cannot write the persistent ports to ${this.path}: ${reasonText(fileErrorOf(error, this.path) ?? error)}`,
          {
            cause: error,
          },
        );
      }
    });
    this.#writing = written.catch(() => {});
    return written;
  }
}

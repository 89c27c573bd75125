/**
 * Published ports that last: a file of the user's, from which they are published again at the next start.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { conflictKey } from '../../protocol/port-spec.js';
import { parsePortSpecJSON } from '../../protocol/port-spec-json.js';
import type { PortSpec, PortStatus } from '../../protocol/ports.js';
import { errorCode, errorText } from '../errors.js';
import { PortError } from './errors.js';

/** The file cannot be read or written. */
export class KeptPortsError extends PortError {
  override name = 'KeptPortsError';
}

/** Published ports have a port on the host, so there always is one. */
function keyOf(spec: PortSpec): string {
  return conflictKey(spec) ?? '';
}

export class KeptPorts {
  /** By the port that each takes on the host. */
  readonly #specs = new Map<string, PortSpec>();
  #writing: Promise<void> = Promise.resolve();
  /** Why the file cannot be read; nothing is written over it then. */
  #broken: KeptPortsError | undefined;

  constructor(readonly path: string) {}

  /** What the file says now. Throws KeptPortsError where it is broken; it is left as it is then. */
  async load(): Promise<PortSpec[]> {
    this.#specs.clear();
    this.#broken = undefined;
    let text: string;
    try {
      text = await readFile(this.path, 'utf8');
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return [];
      this.#broken = new KeptPortsError(`cannot read the kept ports: ${errorText(error)}`);
      throw this.#broken;
    }
    try {
      const value: unknown = JSON.parse(text);
      if (!Array.isArray(value)) throw new Error('it is no list');
      for (const item of value as unknown[]) this.#add(parsePortSpecJSON(item));
    } catch (error) {
      this.#specs.clear();
      this.#broken = new KeptPortsError(`${this.path} is broken: ${errorText(error)}; mend or remove it`);
      throw this.#broken;
    }
    return [...this.#specs.values()];
  }

  has(spec: PortSpec): boolean {
    return this.#specs.has(keyOf(spec));
  }

  /** Throws KeptPortsError. */
  async keep({ spec }: PortStatus): Promise<void> {
    if (this.#broken) throw this.#broken;
    this.#add(spec);
    await this.#write();
  }

  /** Throws KeptPortsError. */
  async forget({ spec }: PortStatus): Promise<void> {
    if (this.#specs.delete(keyOf(spec))) await this.#write();
  }

  #add(spec: PortSpec): void {
    this.#specs.set(keyOf(spec), spec);
  }

  /** One after the other; the file is whole at any moment. */
  #write(): Promise<void> {
    const written = this.#writing.then(async () => {
      const text = `${JSON.stringify([...this.#specs.values()], undefined, 2)}\n`;
      try {
        await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
        await writeFile(`${this.path}.new`, text, { mode: 0o600 });
        await rename(`${this.path}.new`, this.path);
      } catch (error) {
        throw new KeptPortsError(`cannot write the kept ports: ${errorText(error)}`);
      }
    });
    this.#writing = written.catch(() => {});
    return written;
  }
}

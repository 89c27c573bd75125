/**
 * What is being done to a container's network, so that it can be finished or taken back after a crash at any point.
 *
 * Theory of operation. One file for each container: `<directory>/<id>`, a JSON object a line, only ever appended to.
 *
 *   {"intent":"attach", …}     before the first step: what is wanted, and by whom
 *   {"step":"device:eth0"}     before a step
 *   {"done":"device:eth0"}     after it
 *   {"intent":"complete"}      everything is there
 *   {"intent":"detach"}        from here on it is being taken back
 *
 * The file goes when nothing is left to take back. A last line that is torn by a crash counts as not written; each step
 * and its opposite can be done any number of times, so knowing what was begun is enough.
 */
import { join } from 'node:path';
import type { PublishSpec } from '../../protocol/publish-spec.js';
import type { Faults, Step } from './faults.js';
import { append, namesIn, readText, remove, writeWhole } from './state-files.js';

/** One interface of a container in one network. */
export interface JournalledAttachment {
  network: string;
  ifname: string;
}

export interface AttachIntent {
  id: string;
  /** Whether its record is ours; others belong to who runs the OCI runtime. */
  own: boolean;
  /** Of the run of the stack in which this was begun. */
  stack: string;
  name: string;
  netns: string;
  pid: number;
  attachments: JournalledAttachment[];
  publish: PublishSpec[];
}

export interface JournalEntry extends AttachIntent {
  begun: string[];
  done: string[];
  complete: boolean;
  detaching: boolean;
}

export class Journal {
  constructor(
    private readonly directory: string,
    private readonly faults: Faults,
  ) {}

  /** Begins anew. */
  async begin(intent: AttachIntent): Promise<void> {
    await this.faults.step('attach', 'journal', () =>
      writeWhole(this.#file(intent.id), `${JSON.stringify({ intent: 'attach', ...intent })}\n`),
    );
  }

  /** Does one step, with its lines before and after. */
  async step<T>(id: string, name: Step<'attach'>, task: () => Promise<T> | T): Promise<T> {
    this.#append(id, { step: name });
    this.faults.at('before', 'attach', name);
    const result = await task();
    this.#append(id, { done: name });
    this.faults.at('after', 'attach', name);
    return result;
  }

  async complete(id: string): Promise<void> {
    await this.faults.step('attach', 'complete', () => this.#append(id, { intent: 'complete' }));
  }

  async detaching(id: string): Promise<void> {
    await this.faults.step('detach', 'journal', () => this.#append(id, { intent: 'detach' }));
  }

  /** Nothing is left of it. */
  async end(id: string): Promise<void> {
    await this.faults.step('detach', 'complete', () => remove(this.#file(id)));
  }

  async read(id: string): Promise<JournalEntry | undefined> {
    const text = await readText(this.#file(id));
    if (text === undefined) return undefined;
    let entry: JournalEntry | undefined;
    for (const line of text.split('\n')) {
      const record = parseLine(line);
      if (record === undefined) continue;
      if (record.intent === 'attach') {
        const { intent: _, ...rest } = record;
        entry = { ...(rest as unknown as AttachIntent), begun: [], done: [], complete: false, detaching: false };
      }
      if (!entry) continue;
      if (typeof record.step === 'string') entry.begun.push(record.step);
      if (typeof record.done === 'string') entry.done.push(record.done);
      if (record.intent === 'complete') entry.complete = true;
      if (record.intent === 'detach') entry.detaching = true;
    }
    return entry;
  }

  /** Ids that have an entry. */
  ids(): Promise<string[]> {
    return namesIn(this.directory);
  }

  #append(id: string, record: object): void {
    // Empty lines are passed over; but what comes after a torn line is not to be part of it.
    append(this.#file(id), `\n${JSON.stringify(record)}\n`);
  }

  #file(id: string): string {
    return join(this.directory, id);
  }
}

function parseLine(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

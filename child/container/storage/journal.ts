/**
 * The journal of what is being done to containers' networks, by which it can be rolled back after a crash at any point.
 *
 * Theory of operation. One file for each container: `<directory>/<id>`, a JSON object a line, only ever appended to.
 *
 *   {"intent":"attach", …}     before the first step: the request
 *   {"step":"device:eth0"}     before a step
 *   {"done":"device:eth0"}     after it, with the next line
 *   {"intent":"complete"}      all steps are done
 *   {"intent":"detach"}        from here on it is being undone
 *
 * The file is removed when nothing is left to undo. A last line that a crash has cut off counts as not written; each step
 * and its undoing can be repeated, so it is enough to know what was begun.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { CNIPortMapping } from '../../../protocol/ports/cni-json.js';
import { append, namesIn, readText, remove, writeAtomic } from './atomic-files.js';
import type { FaultInjector, Step } from './fault-injection.js';

/** One interface of a container in one network. */
export interface JournalledAttachment {
  network: string;
  ifname: string;
}

export interface AttachIntent {
  id: string;
  /** Whether it is one of our own; other containers belong to the user of another OCI runtime. */
  own: boolean;
  /** Id of the run of the stack in which this was begun. */
  stack: string;
  name: string;
  netns: string;
  pid: number;
  /** Distinguishes its process from a later one with that pid; see startTimeOf(). */
  startTime: string;
  attachments: JournalledAttachment[];
  publish: CNIPortMapping[];
}

export interface JournalEntry extends AttachIntent {
  begun: string[];
  done: string[];
  complete: boolean;
  detaching: boolean;
}

export class Journal {
  /** Lines about what is done, which are written with the next one: it is enough to know what was begun. */
  readonly #done = new Map<string, string[]>();
  /** What was read last, and of which version of the file; each attach reads those of all containers. */
  readonly #read = new Map<string, { version: string; entry: JournalEntry | undefined }>();

  constructor(
    private readonly directory: string,
    private readonly faults: FaultInjector,
  ) {}

  /** Starts the container's journal over. */
  async begin(intent: AttachIntent): Promise<void> {
    this.#done.delete(intent.id);
    await this.faults.step('attach', 'journal', () =>
      writeAtomic(this.#file(intent.id), `${JSON.stringify({ intent: 'attach', ...intent })}\n`),
    );
  }

  /** Runs a step, with its lines before and after. */
  async step<T>(id: string, name: Step<'attach'>, task: () => Promise<T> | T): Promise<T> {
    this.#append(id, { step: name });
    this.faults.at('before', 'attach', name);
    const result = await task();
    this.#done.set(id, [...(this.#done.get(id) ?? []), name]);
    this.faults.at('after', 'attach', name);
    return result;
  }

  async complete(id: string): Promise<void> {
    await this.faults.step('attach', 'complete', () => this.#append(id, { intent: 'complete' }));
  }

  async detaching(id: string): Promise<void> {
    await this.faults.step('detach', 'journal', () => this.#append(id, { intent: 'detach' }));
  }

  /** Removes the journal, when nothing is left to undo. */
  async end(id: string): Promise<void> {
    this.#done.delete(id);
    this.#read.delete(id);
    await this.faults.step('detach', 'complete', () => remove(this.#file(id)));
  }

  async read(id: string): Promise<JournalEntry | undefined> {
    const stats = statSync(this.#file(id), { throwIfNoEntry: false });
    const version = stats && `${stats.ino} ${stats.size} ${stats.mtimeMs}`;
    const known = this.#read.get(id);
    if (version === undefined || known?.version !== version) {
      this.#read.delete(id);
      const text = await readText(this.#file(id));
      if (version !== undefined) this.#read.set(id, { version, entry: text === undefined ? text : parse(text) });
    }
    const entry = this.#read.get(id)?.entry;
    return entry && { ...entry, done: [...entry.done, ...(this.#done.get(id) ?? [])] };
  }

  /** Ids that have an entry. */
  ids(): Promise<string[]> {
    return namesIn(this.directory);
  }

  #append(id: string, record: object): void {
    const done = (this.#done.get(id) ?? []).map((name) => lineOf({ done: name }));
    append(this.#file(id), [...done, lineOf(record)].join(''));
    this.#done.delete(id);
  }

  #file(id: string): string {
    return join(this.directory, id);
  }
}

/** Begins with a line end, which ends a line that was cut off; empty lines are skipped. */
function lineOf(record: object): string {
  return `\n${JSON.stringify(record)}\n`;
}

function parse(text: string): JournalEntry | undefined {
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

function parseLine(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

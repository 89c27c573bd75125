/**
 * Finds where the last lines of a container's log begin, backwards from its end, so that a long log need not be read as a
 * whole.
 *
 * Theory of operation. Going back, an entry that ends a line, or a piece of an unfinished one, opens a line of its stream;
 * pieces before it belong to that line. When the wanted number of lines is open, the next line that a stream would open
 * closes that stream: nothing before it is wanted. The search continues until both streams are closed, since pieces of one
 * stream's line may be between entries of the other; those entries are counted, to be skipped when reading forward.
 */
import type { FileHandle } from 'node:fs/promises';
import { type LogEntry, type LogStream, parseEntry } from './entry.js';
import { fileName, type LogReader, openLog } from './reader.js';

export interface BackLimits {
  /** How many lines, at most. */
  lines?: number | undefined;
  /** How many bytes of the log, at most; a line may be truncated. */
  bytes?: number | undefined;
  /** Excludes what is before that time; see LogEntry.time. */
  since?: string | undefined;
  /** Ignores what is after that time. */
  until?: string | undefined;
}

const CHUNK = 64 * 1024;
/** How many bytes back the beginning of a line is searched among the entries of the other stream. */
const MAX_DETOUR = 1024 * 1024;
const LINE_END = 0x0a;

/** Positions a reader there. Resolves with how many entries of each stream it has to skip. */
export async function seekBack(reader: LogReader, limits: BackLimits): Promise<Record<LogStream, number>> {
  const search = new Search(limits);
  let found: { file: FileHandle; offset: number } | undefined;
  const seen = new Set<bigint>();
  for (let index = 0; index < reader.maxFiles && !search.done; index++) {
    const file = await openLog(fileName(reader.path, index));
    if (!file) continue;
    const { size: sizeNow, ino } = await file.stat({ bigint: true });
    const isLast = ino === reader.end?.inode;
    // It was renamed meanwhile, or created after the end.
    if (seen.has(ino) || (reader.end && seen.size === 0 && !isLast)) {
      await file.close();
      continue;
    }
    seen.add(ino);
    await found?.file.close();
    found = { file, offset: await searchFile(file, isLast ? reader.end.size : Number(sizeNow), search) };
  }
  if (found) await reader.seek(found.file, found.offset);
  return search.skip;
}

/** Resolves with the offset of the first entry that is wanted, or may have to be skipped; the end where there is none. */
async function searchFile(file: FileHandle, size: number, search: Search): Promise<number> {
  let first = size;
  let end = size;
  let rest: Buffer = Buffer.alloc(0);
  while (end > 0 && !search.done) {
    const start = Math.max(0, end - CHUNK);
    const chunk = Buffer.alloc(end - start);
    const { bytesRead } = await file.read(chunk, 0, chunk.length, start);
    // The monitor has truncated it.
    if (bytesRead < chunk.length) return first;
    const data = Buffer.concat([chunk, rest]);
    end = start;
    // Up to the last line end in the data.
    let until = data.length;
    for (;;) {
      const before = until > 1 ? data.lastIndexOf(LINE_END, until - 2) : -1;
      if (before < 0 && start > 0) break;
      const entry = parseEntry(data.subarray(before + 1, data[until - 1] === LINE_END ? until - 1 : until));
      if (entry && !search.wants(entry)) return first;
      first = start + before + 1;
      search.bytes += until - before - 1;
      until = before + 1;
      if (until === 0) break;
    }
    rest = data.subarray(0, until);
  }
  return first;
}

class Search {
  bytes = 0;
  readonly skip: Record<LogStream, number> = { stdout: 0, stderr: 0 };
  readonly #open: Record<LogStream, boolean> = { stdout: false, stderr: false };
  readonly #closed = new Set<LogStream>();
  #lines = 0;
  /** How many bytes back the wanted number of lines was found. */
  #enoughAt = Number.POSITIVE_INFINITY;
  #over = false;

  constructor(private readonly limits: BackLimits) {}

  get done(): boolean {
    return this.#over;
  }

  /** Takes the next entry backwards; false where the search is over. */
  wants({ time, stream, partial }: LogEntry): boolean {
    const { lines = Number.POSITIVE_INFINITY, bytes = Number.POSITIVE_INFINITY, since, until } = this.limits;
    if (until !== undefined && time > until) return true;
    if ((since !== undefined && time < since) || this.bytes >= bytes) this.#over = true;
    if (this.#over) return false;
    const begins = !partial || !this.#open[stream];
    if (begins && !this.#closed.has(stream)) {
      if (this.#lines >= lines) this.#closed.add(stream);
      else this.#lines++;
      if (this.#lines >= lines) this.#enoughAt = Math.min(this.#enoughAt, this.bytes);
      this.#open[stream] = true;
    }
    if (this.#closed.has(stream)) this.skip[stream]++;
    // A stream without an open line has none that could begin further back.
    const settled = (name: LogStream) => this.#closed.has(name) || (!this.#open[name] && this.#lines >= lines);
    const far = this.bytes > this.#enoughAt + MAX_DETOUR;
    if (!far && !(settled('stdout') && settled('stderr'))) return true;
    if (this.#closed.has(stream)) this.skip[stream]--;
    this.#over = true;
    return false;
  }
}

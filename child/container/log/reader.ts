/**
 * Reads a container's log while it is written, across its files.
 *
 * Theory of operation. FILE is renamed to FILE.1, that to FILE.2 and so on, and the last is removed. A reader identifies
 * its file by the inode, which cannot be reused while the file is open. At the end of a file it searches the names from the
 * newest on: files move one way only, so the one found before its own is the successor. Where its own is gone, output was
 * rotated away before it was read, and the reader continues with the oldest file left. A reader that follows the log holds a
 * shared lock (flock(2)) on its file, and locks the next one before it releases that: the monitor waits some time for it
 * before it removes a file (native/src/monitor/log_writer.h).
 */
import { type FileHandle, open } from 'node:fs/promises';
import { native } from '../../../native/index.js';
import { KeyedLock } from '../storage/lock.js';
import { type LogEntry, parseEntry, splitEntries } from './entry.js';

const CHUNK = 64 * 1024;
/** The monitor writes no longer lines. */
const MAX_LINE = 256 * 1024;

export class LogReader implements AsyncDisposable {
  #file: FileHandle | undefined;
  #inode = 0n;
  #offset = 0;
  /** The beginning of an entry whose end has not been written yet. */
  #rest = Buffer.alloc(0);
  #lost = false;
  /** Where to stop; the file is kept open, so that its inode is not reused. */
  #end: { inode: bigint; size: number; file: FileHandle } | undefined;
  readonly #lock = new KeyedLock();
  /** The files after the current one, once hold() has opened them; the oldest first. */
  #held: FileHandle[] | undefined;

  /**
   * @param path the newest file
   * @param waitedFor whether the monitor waits before it removes what has not been read
   */
  constructor(
    readonly path: string,
    readonly maxFiles: number,
    readonly waitedFor = false,
  ) {}

  /** Whether output was rotated away before it was read, since the last call. */
  takeLost(): boolean {
    const lost = this.#lost;
    this.#lost = false;
    return lost;
  }

  /** Opens all files, so that they can be read after they are removed. The log must not be written any more. */
  hold(): Promise<void> {
    return this.#lock.run('', async () => {
      if (this.#held || (!this.#file && !(await this.#openOldest()))) return;
      const { files, known } = await this.#newer(true);
      this.#lost ||= !known && this.maxFiles > 1;
      this.#held = files.reverse();
    });
  }

  /** Opens the oldest file, where none is open yet. */
  begin(): Promise<void> {
    return this.#lock.run('', async () => {
      if (!this.#file) await this.#openOldest();
    });
  }

  /** Where reading stops, whatever is written meanwhile; undefined if it does not. */
  get end(): { inode: bigint; size: number } | undefined {
    return this.#end;
  }

  /**
   * Makes reading stop at the current end: a container may write as fast as its log is read. Resolves with whether the log
   * has any file.
   */
  async stopAtEnd(): Promise<boolean> {
    let file: FileHandle | undefined;
    // During a rotation the newest file does not exist.
    for (let index = 0; index < this.maxFiles && !file; index++) file = await openLog(fileName(this.path, index));
    if (!file) return false;
    const { ino, size } = await file.stat({ bigint: true });
    await this.#end?.file.close();
    this.#end = { inode: ino, size: Number(size), file };
    return true;
  }

  /** Whether a file is open. */
  get isPlaced(): boolean {
    return this.#file !== undefined;
  }

  /** Continues with what is written from now on. */
  async seekEnd(): Promise<void> {
    const file = await openLog(this.path);
    if (file) await this.seek(file, (await file.stat()).size);
  }

  /** Continues at an offset of a file, which the reader owns from then on. */
  async seek(file: FileHandle, offset: number): Promise<void> {
    // Where the monitor has the lock, this file is about to be removed.
    if (this.waitedFor) native().flock(file.fd, false);
    await this.#file?.close();
    this.#file = file;
    this.#inode = (await file.stat({ bigint: true })).ino;
    this.#offset = offset;
    this.#rest = Buffer.alloc(0);
  }

  /** Some entries, in order; none if there are no more for now. */
  next(): Promise<LogEntry[]> {
    return this.#lock.run('', () => this.#next());
  }

  async #next(): Promise<LogEntry[]> {
    for (;;) {
      if (!this.#file && !(await this.#openOldest())) return [];
      const entries = await this.#read();
      if (entries?.length) return entries;
      if (entries) continue;
      if (this.#end?.inode === this.#inode) return [];
      const successor = await this.#successor();
      if (!successor) return [];
      // It may have been written to since, before it was renamed.
      const last = await this.#read();
      if (last) {
        if (!this.#held) await successor.file.close();
        if (last.length > 0) return last;
        continue;
      }
      this.#held?.shift();
      this.#lost ||= successor.lost;
      const torn = this.takeIncomplete();
      await this.seek(successor.file, 0);
      if (torn.length > 0) return torn;
    }
  }

  /** The last entry where its end is not there, and will not come: the monitor was killed. */
  takeIncomplete(): LogEntry[] {
    const entry = parseEntry(this.#rest);
    this.#rest = Buffer.alloc(0);
    return entry && entry.text.length > 0 ? [{ ...entry, partial: true }] : [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const file of [this.#file, this.#end?.file, ...(this.#held ?? [])]) await file?.close();
    this.#file = this.#held = this.#end = undefined;
  }

  async #openOldest(): Promise<boolean> {
    const { files, pastEnd } = await this.#newer(false);
    const [oldest] = files;
    if (pastEnd) await oldest?.close();
    else if (oldest) await this.seek(oldest, 0);
    return oldest !== undefined && !pastEnd;
  }

  /** Undefined at the end of the file. */
  async #read(): Promise<LogEntry[] | undefined> {
    const chunk = Buffer.allocUnsafe(CHUNK);
    const left = this.#end?.inode === this.#inode ? Math.max(0, this.#end.size - this.#offset) : CHUNK;
    if (left === 0) return undefined;
    const { bytesRead = 0 } = (await this.#file?.read(chunk, 0, Math.min(CHUNK, left), this.#offset)) ?? {};
    if (bytesRead === 0) {
      await this.#followCut();
      return undefined;
    }
    this.#offset += bytesRead;
    const data = chunk.subarray(0, bytesRead);
    const { entries, rest } = splitEntries(this.#rest.length > 0 ? Buffer.concat([this.#rest, data]) : data);
    this.#rest = rest.length > MAX_LINE ? Buffer.alloc(0) : Buffer.from(rest);
    return entries;
  }

  /** The monitor truncates the file after an incomplete write, to less than what was read of it. */
  async #followCut(): Promise<void> {
    const size = (await this.#file?.stat())?.size ?? this.#offset;
    if (size >= this.#offset) return;
    this.#offset = size;
    this.#rest = Buffer.alloc(0);
  }

  /** The file after the current one; undefined while that is the newest. */
  async #successor(): Promise<{ file: FileHandle; lost: boolean } | undefined> {
    if (this.#held) {
      const file = this.#held[0];
      return file && { file, lost: false };
    }
    const { files, known, pastEnd } = await this.#newer(false);
    if (pastEnd) {
      await files[0]?.close();
      this.#lost = true;
      return undefined;
    }
    // With a single file it is unknown how many there were meanwhile.
    return files[0] && { file: files[0], lost: !known && this.maxFiles > 1 };
  }

  /**
   * The files after the current one, the newest first, or only the oldest of them; `known`: whether the current one still
   * exists; `pastEnd`: whether all of them are after the end, which was rotated away.
   */
  async #newer(all: boolean): Promise<{ files: FileHandle[]; known: boolean; pastEnd: boolean }> {
    const files: FileHandle[] = [];
    let pastEnd = this.#end !== undefined;
    for (let index = 0; index < this.maxFiles; index++) {
      const file = await openLog(fileName(this.path, index));
      if (!file) continue;
      const { ino } = await file.stat({ bigint: true });
      if (ino === this.#end?.inode) pastEnd = false;
      if (ino === this.#inode) {
        await file.close();
        return { files, known: true, pastEnd };
      }
      if (!all) await files.pop()?.close();
      files.push(file);
    }
    return { files, known: false, pastEnd };
  }
}

/** Name of a log's file; the newest has the index 0. */
export function fileName(path: string, index: number): string {
  return index === 0 ? path : `${path}.${index}`;
}

/** Undefined if it does not exist. */
export async function openLog(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

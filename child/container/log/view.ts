/** A selection of a container's log, as clients get it. */
import type { LogEntry, LogStream } from './entry.js';
import { LogReader } from './reader.js';
import { seekBack } from './seek-back.js';

/** Times are as parseLogTime() in protocol/containers/log-options.ts returns them. */
export interface LogSelection {
  /** Only what was written from that time on. */
  since?: string | undefined;
  /** Only what was written up to that time. */
  until?: string | undefined;
  /** Only that many lines before the end. */
  tail?: number | undefined;
  /** Only that many bytes of the log before the end. */
  bytes?: number | undefined;
  /** The log is read while it is written, and the container waits some time for a slower reader. */
  follow?: boolean | undefined;
  /** Each line begins with its time. */
  timestamps?: boolean | undefined;
}

/** A piece of a stream. */
export interface LogPiece {
  stream: LogStream;
  data: Buffer;
}

/** Stands for output that was rotated away before it was read. */
const LOST = 'rootless-net: some output is missing here: it was rotated away before it was read\n';

/** How often positioning is tried in a log that is being rotated. */
const ATTEMPTS = 10;

export class LogView implements AsyncDisposable {
  readonly #lineBegins: Record<LogStream, boolean> = { stdout: true, stderr: true };
  #skip: Record<LogStream, number> = { stdout: 0, stderr: 0 };
  #past = false;

  private constructor(
    private readonly reader: LogReader,
    private readonly selection: LogSelection,
  ) {}

  /** @param path the newest file of a log, which need not exist */
  static async open(path: string, maxFiles: number, selection: LogSelection = {}): Promise<LogView> {
    const view = new LogView(new LogReader(path, maxFiles, selection.follow), selection);
    const { tail: lines, bytes, since, until } = selection;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const isBounded = !selection.follow && (await view.reader.stopAtEnd());
      if (lines !== undefined || bytes !== undefined) {
        view.#skip = await seekBack(view.reader, { lines, bytes, since, until });
      } else {
        await view.begin();
      }
      // Otherwise all of it was rotated away meanwhile.
      if (view.reader.isPlaced || !isBounded) break;
    }
    return view;
  }

  /** A view of what is written from now on. */
  static async openAtEnd(path: string, maxFiles: number): Promise<LogView> {
    const view = new LogView(new LogReader(path, maxFiles, true), {});
    await view.reader.seekEnd();
    return view;
  }

  /** Whether the end of the selection is reached. */
  get past(): boolean {
    return this.#past;
  }

  /** Has the monitor wait for this view from now on, where the log exists. */
  begin(): Promise<void> {
    return this.reader.begin();
  }

  /** The next pieces, in order; none if there are no more for now. */
  async next(): Promise<LogPiece[]> {
    for (;;) {
      if (this.#past) return [];
      const entries = await this.reader.next();
      const pieces = this.#show(entries);
      if (this.reader.takeLost()) pieces.unshift({ stream: 'stderr', data: Buffer.from(LOST) });
      if (entries.length === 0 || pieces.length > 0) return pieces;
    }
  }

  /** The last pieces, of a log that is no longer written. */
  last(): LogPiece[] {
    return this.#show(this.reader.takeIncomplete());
  }

  /** Keeps the log readable when its files are removed. */
  hold(): Promise<void> {
    return this.reader.hold();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.reader[Symbol.asyncDispose]();
  }

  #show(entries: readonly LogEntry[]): LogPiece[] {
    const pieces: { stream: LogStream; parts: Buffer[] }[] = [];
    for (const entry of entries.filter((one) => this.#isWanted(one))) {
      const { stream, partial, text, time } = entry;
      const parts = this.selection.timestamps && this.#lineBegins[stream] ? [Buffer.from(`${time} `), text] : [text];
      if (!partial) parts.push(NEWLINE);
      this.#lineBegins[stream] = !partial;
      const last = pieces.at(-1);
      if (last?.stream === stream) last.parts.push(...parts);
      else pieces.push({ stream, parts });
    }
    return pieces.map(({ stream, parts }) => ({ stream, data: Buffer.concat(parts) }));
  }

  #isWanted({ time, stream }: LogEntry): boolean {
    const { since, until } = this.selection;
    if (this.#skip[stream] > 0) {
      this.#skip[stream]--;
      return false;
    }
    if (until !== undefined && time > until) this.#past = true;
    return !this.#past && (since === undefined || time >= since);
  }
}

const NEWLINE = Buffer.from('\n');

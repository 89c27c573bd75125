/** One entry of a container's log, a line of the file: see native/src/monitor/log_writer.h for the format. */

export type LogStream = 'stdout' | 'stderr';

export interface LogEntry {
  /** RFC 3339 with nanoseconds, in UTC; can be compared as a string. */
  time: string;
  stream: LogStream;
  /** Whether the line continues in the next entry of its stream. */
  partial: boolean;
  /** What the container wrote, without the line end. */
  text: Buffer;
}

/** `2026-11-29T09:14:06.123456789Z stdout F ` */
const HEAD = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) (stdout|stderr) ([FP]) $/;
const HEAD_LENGTH = 40;
const LINE_END = 0x0a;

/** @param line without its end. Returns undefined for what is not an entry, such as a truncated one. */
export function parseEntry(line: Buffer): LogEntry | undefined {
  const [, time, stream, tag] = HEAD.exec(line.toString('latin1', 0, HEAD_LENGTH)) ?? [];
  if (time === undefined) return undefined;
  return { time, stream: stream as LogStream, partial: tag === 'P', text: line.subarray(HEAD_LENGTH) };
}

/** The entries in a part of a file, and what follows the last line end. */
export function splitEntries(data: Buffer): { entries: LogEntry[]; rest: Buffer } {
  const entries: LogEntry[] = [];
  let start = 0;
  for (let end = data.indexOf(LINE_END); end >= 0; end = data.indexOf(LINE_END, start)) {
    const entry = parseEntry(data.subarray(start, end));
    if (entry) entries.push(entry);
    start = end + 1;
  }
  return { entries, rest: data.subarray(start) };
}

import { closeSync, openSync, readSync } from 'node:fs';

const CHUNK = 64 * 1024;

/**
 * The beginning of a file of /proc or of cgroups, up to so many bytes, whose size programs decide; "" if it cannot be read. A
 * character for each byte: utf8Of() of what programs have written.
 */
export function readStart(path: string, most: number): string {
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r');
    const chunks: Buffer[] = [];
    for (let size = 0; size < most; ) {
      const chunk = Buffer.allocUnsafe(Math.min(CHUNK, most - size));
      const count = readSync(fd, chunk);
      if (count === 0) break;
      chunks.push(chunk.subarray(0, count));
      size += count;
    }
    return Buffer.concat(chunks).toString('latin1');
  } catch {
    return '';
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Of what readStart() gave: names of programs and their arguments have the characters of UTF-8. */
export function utf8Of(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

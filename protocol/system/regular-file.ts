/**
 * Reads files at paths that a user, or root inside, has chosen. A plain read of a FIFO or a terminal may never return, a device
 * has no end, and a file of gigabytes exhausts the memory.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

/** Larger than any configuration, in bytes. */
const MAX_SIZE = 16 * 1024 * 1024;

/** The path is not a file that can be read as a whole. The message is part of a line. */
export class IrregularFileError extends Error {
  override name = 'IrregularFileError';
}

/** Device number of /dev/null: major 1, minor 3 (null(4)). */
const NULL_DEVICE = (1 << 8) | 3;

/**
 * The text of a regular file, read at once. Links are followed.
 *
 * @param options `pipes`: also read a pipe to its end, and /dev/null as empty; only for paths that the caller has given
 * @throws IrregularFileError for a FIFO, socket, device, or more than `maxBytes`
 * @throws a system error with its code (ENOENT, EACCES, EISDIR …) as Node's own
 */
export function readRegularFile(path: string, maxBytes = MAX_SIZE, { pipes = false } = {}): string {
  // O_NONBLOCK, so that opening a FIFO without a writer returns (open(2)).
  const fd = openSync(path, constants.O_RDONLY | (pipes ? 0 : constants.O_NONBLOCK) | constants.O_NOCTTY);
  try {
    const stat = fstatSync(fd);
    // A directory fails as it always does, with EISDIR.
    const asked = pipes && (stat.isFIFO() || (stat.isCharacterDevice() && stat.rdev === NULL_DEVICE));
    if (!asked && !stat.isFile() && !stat.isDirectory()) throw new IrregularFileError(`${path} is not a regular file`);
    if (stat.size > maxBytes && stat.isFile()) throw new IrregularFileError(`${path} is larger than ${maxBytes} bytes`);
    const chunks: Buffer[] = [];
    let size = 0;
    // Files of /proc report a size of 0, and others may grow.
    for (;;) {
      const chunk = Buffer.allocUnsafe(Math.max(4096, stat.size + 1 - size));
      const count = readSync(fd, chunk);
      if (count === 0) return Buffer.concat(chunks).toString('utf8');
      size += count;
      if (size > maxBytes) throw new IrregularFileError(`${path} is larger than ${maxBytes} bytes`);
      chunks.push(chunk.subarray(0, count));
    }
  } finally {
    closeSync(fd);
  }
}

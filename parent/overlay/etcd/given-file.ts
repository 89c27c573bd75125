import { onFile } from '../../../protocol/errors/file-error.js';
import { IrregularFileError, readRegularFile } from '../../../protocol/system/regular-file.js';
import { OverlayError } from '../errors.js';

/** The text of a file that the user has named, such as a certificate. Throws FileError and OverlayError. */
export function readGivenFile(path: string): string {
  try {
    return onFile(path, () => readRegularFile(path));
  } catch (error) {
    if (!(error instanceof IrregularFileError)) throw error;
    throw new OverlayError(`cannot read a file for etcd: ${error.message}`, { cause: error }, 400);
  }
}

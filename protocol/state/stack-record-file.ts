/** Reads the record of the stack that holds a lock. */
import { readRegularFile } from '../system/regular-file.js';
import { decodeStackRecord, MAX_RECORD, type StackRecord } from './stack-record.js';

/** The record of the stack that holds the lock on that file, or held it last; undefined if there is none. */
export function readStackRecord(path: string): StackRecord | undefined {
  // It may be being written.
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      const record = decodeStackRecord(readRegularFile(path, MAX_RECORD));
      if (record) return record;
    } catch {
      return undefined;
    }
  }
  return undefined;
}

/** The lock of the data directory, since two stacks cannot share their containers. */
import { closeSync, ftruncateSync, mkdirSync, writeSync } from 'node:fs';
import { native } from '../../../native/index.js';
import { onFile } from '../../../protocol/errors/file-error.js';
import { encodeStackRecord, handleOf, type StackRecord } from '../../../protocol/state/stack-record.js';
import { readStackRecord } from '../../../protocol/state/stack-record-file.js';
import { dataLockPath } from '../../../protocol/state/state-layout.js';
import { openOwnFile } from '../../../protocol/system/own-file.js';
import { ContainerError } from '../errors.js';

/**
 * Takes the lock, and writes into its file which stack holds it. Returns a function that releases it. Throws ContainerError
 * where another stack holds it.
 */
export function lockData(dataDir: string, record: StackRecord): () => void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const path = dataLockPath(dataDir);
  const lock = openOwnFile(path);
  if (native().flock(lock, true)) {
    const text = encodeStackRecord(record);
    onFile(path, () => {
      writeSync(lock, text, 0);
      ftruncateSync(lock, Buffer.byteLength(text));
    });
    return () => closeSync(lock);
  }
  closeSync(lock);
  const owner = readStackRecord(path);
  const whose = owner ? `the stack of pid ${owner.process.pid} (socket ${owner.socket})` : 'another running stack';
  throw new ContainerError(`the containers in ${dataDir} belong to ${whose}`, 409, {
    hint: `${owner ? `rootless-run stop ${handleOf(owner)}` : 'end it'}, or set XDG_DATA_HOME to another directory`,
  });
}

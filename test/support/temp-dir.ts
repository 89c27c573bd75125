import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const made = new Set<string>();

process.on('exit', () => {
  for (const path of made) rmSync(path, { recursive: true, force: true });
});

/** A new empty directory, 0700, which is removed when the tests end. The path is short enough for sockets. */
export function tempDir(): string {
  const path = mkdtempSync(join(tmpdir(), 't-'));
  made.add(path);
  return path;
}

import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot, tempDir } from '../../support/index.js';

/** A directory outside of the checkout, where the package is installed. */
export function projectDirectory(): string {
  const directory = tempDir();
  mkdirSync(join(directory, 'node_modules'));
  symlinkSync(repoRoot, join(directory, 'node_modules', 'rootless-net'));
  return directory;
}

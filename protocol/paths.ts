import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** The package has it wherever it is installed. */
const AGENT = 'dist/child/agent.js';
const ROOT = findRoot();

/**
 * Every module, and every file that we bundle modules into, lies two levels below the package: dist/DIRECTORY/FILE. Where a
 * program that uses the library was bundled, the package is searched as Node does, from there or from the working directory;
 * bundlers that make CommonJS leave no URL of the module.
 */
function findRoot(): URL {
  const here: string | undefined = import.meta.url;
  const beside = here === undefined ? undefined : new URL('../../', here);
  if (beside && existsSync(new URL(AGENT, beside))) return beside;
  for (const from of [here, pathToFileURL(join(process.cwd(), 'package.json')).href]) {
    try {
      if (from !== undefined)
        return new URL('./', pathToFileURL(createRequire(from).resolve('rootless-net/package.json')));
    } catch {
      // Not installed there.
    }
  }
  return beside ?? pathToFileURL('/');
}

/** Path of a file of this package, such as `dist/child/agent.js`. */
export function packageFile(path: string): string {
  return fileURLToPath(new URL(path, ROOT));
}

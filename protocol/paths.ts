import { fileURLToPath } from 'node:url';

/** Every module, and every file that modules are bundled into, lies two levels below the package: dist/DIRECTORY/FILE. */
const ROOT = new URL('../../', import.meta.url);

/** Path of a file of this package, such as `dist/child/agent.js`. */
export function packageFile(path: string): string {
  return fileURLToPath(new URL(path, ROOT));
}

import { readFileSync } from 'node:fs';

/** Finds package.json from where this module is compiled to, dist/protocol/. */
const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

/** Version of this package, as its package.json says. */
export const VERSION: string =
  typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : 'unknown';

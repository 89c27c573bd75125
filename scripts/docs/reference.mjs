// Makes pages of the library's types and functions from its declarations, with typedoc: npm run reference [-- DIRECTORY], else
// dist/reference/. typedoc and a version of TypeScript that it takes come from npm, by typedoc/package-lock.json.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installPinned, run } from '../packages/pinned.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '..', '..');
const directory = installPinned({ name: 'typedoc', from: join(here, 'typedoc'), what: 'typedoc' });
const { exports: entries, name } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

const compilerOptions = {
  strict: true,
  target: 'es2023',
  lib: ['es2023', 'esnext.disposable'],
  module: 'nodenext',
  types: ['node'],
  typeRoots: [join(directory, 'node_modules', '@types')],
  noEmit: true,
};
const types = Object.values(entries).flatMap((entry) => (entry.types ? [join(root, entry.types)] : []));
writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: types }));
const options = {
  name,
  tsconfig: join(directory, 'tsconfig.json'),
  entryPoints: types,
  out: resolve(process.argv[2] ?? join(root, 'dist', 'reference')),
  readme: 'none',
  disableSources: true,
  treatWarningsAsErrors: true,
  // Values that types are derived from.
  intentionallyNotExported: ['drivers', 'ORIGINS', 'portDriverNames', 'propagations', 'subIdSources'],
};
writeFileSync(join(directory, 'typedoc.json'), JSON.stringify(options));
const typedoc = join(directory, 'node_modules', 'typedoc', 'bin', 'typedoc');
run(process.execPath, [typedoc, '--options', join(directory, 'typedoc.json')], { cwd: directory });

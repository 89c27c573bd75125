// Makes pages of the library's types and functions from its declarations, with typedoc: npm run reference [-- DIRECTORY], else
// dist/reference/. typedoc and a version of TypeScript that it takes come from npm, by typedoc/package-lock.json.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '..', '..');
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'rootless-net-build', 'typedoc');
const { exports: entries, name } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

function run(command, ...args) {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'], cwd: cache });
  if (error) throw error;
  if (status !== 0) process.exit(1);
}

const copies = ['package.json', 'package-lock.json'];
const isCurrent = (file) =>
  existsSync(join(cache, file)) && readFileSync(join(cache, file)).equals(readFileSync(join(here, 'typedoc', file)));
if (!(existsSync(join(cache, 'node_modules', 'typedoc')) && copies.every(isCurrent))) {
  mkdirSync(cache, { recursive: true });
  for (const file of copies) copyFileSync(join(here, 'typedoc', file), join(cache, file));
  run('npm', 'ci', '--silent', '--no-audit', '--no-fund');
}

const compilerOptions = {
  strict: true,
  target: 'es2023',
  lib: ['es2023', 'esnext.disposable'],
  module: 'nodenext',
  types: ['node'],
  typeRoots: [join(cache, 'node_modules', '@types')],
  noEmit: true,
};
const types = Object.values(entries).flatMap((entry) => (entry.types ? [join(root, entry.types)] : []));
writeFileSync(join(cache, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: types }));
const options = {
  name,
  tsconfig: join(cache, 'tsconfig.json'),
  entryPoints: types,
  out: resolve(process.argv[2] ?? join(root, 'dist', 'reference')),
  readme: 'none',
  disableSources: true,
  treatWarningsAsErrors: true,
  // Values that types are derived from.
  intentionallyNotExported: ['drivers', 'ORIGINS', 'portDriverNames', 'propagations', 'subIdSources'],
};
writeFileSync(join(cache, 'typedoc.json'), JSON.stringify(options));
run(
  process.execPath,
  join(cache, 'node_modules', 'typedoc', 'bin', 'typedoc'),
  '--options',
  join(cache, 'typedoc.json'),
);

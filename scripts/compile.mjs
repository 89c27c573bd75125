// Compiles the TypeScript to dist/, then puts each program with all that it imports into few files: loading the hundred
// small ones takes Node longer than everything that rootless-run does until its command starts.
import { spawnSync } from 'node:child_process';
import { copyFileSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const programs = [
  'bin/rootless-run.js',
  'bin/rootlesskit.js',
  'bin/rootlessctl.js',
  'bin/rootless-net.js',
  'child/agent.js',
];

const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
const compiled = spawnSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.json')], { stdio: 'inherit', cwd: root });
if (compiled.status !== 0) process.exit(compiled.status ?? 1);

// What is no TypeScript goes along.
copyFileSync(join(root, 'child/dhcp-event.sh'), join(root, 'dist/child/dhcp-event.sh'));

const { build } = await import('esbuild');
const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: programs.map((program) => join('dist', program)),
  outbase: 'dist',
  outdir: 'dist',
  allowOverwrite: true,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  // Names stay, for stack traces; what is left out need not be parsed at each start.
  minifyWhitespace: true,
  minifySyntax: true,
  // msgpackr has a native part for strings in bulk, of which our messages have none; finding it takes milliseconds.
  define: { 'process.env.MSGPACKR_NATIVE_ACCELERATION_DISABLED': '"true"' },
  // They have native parts, and may be missing.
  external: ['node-pty', 'msgpackr-extract'],
  // As deep below dist/ as every module is, so that protocol/paths.ts finds the package from there too.
  chunkNames: 'chunks/[name]-[hash]',
  // Packages in CommonJS among them need it.
  banner: {
    js: "import { createRequire as requireFor } from 'node:module'; const require = requireFor(import.meta.url);",
  },
  logLevel: 'warning',
  metafile: true,
});

// What an earlier run left.
const chunks = join(root, 'dist', 'chunks');
for (const name of readdirSync(chunks)) {
  if (!(`dist/chunks/${name}` in metafile.outputs)) rmSync(join(chunks, name));
}

await import('./manual.mjs');

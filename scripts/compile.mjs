// Compiles the TypeScript to dist/, then puts each program with all that it imports into one file: loading the hundred
// small ones takes Node longer than everything that rootless-run does until its command starts.
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, parse, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packages, programs } from './bundles.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
const compiled = spawnSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.json')], { stdio: 'inherit', cwd: root });
if (compiled.status !== 0) process.exit(compiled.status ?? 1);

// What is no TypeScript goes along.
copyFileSync(join(root, 'child/dhcp-event.sh'), join(root, 'dist/child/dhcp-event.sh'));

const { build } = await import('esbuild');
const common = {
  absWorkingDir: root,
  bundle: true,
  // Not ES modules: V8 has a code cache for scripts only, and Node starts them sooner. What import() asks for stays in the
  // bundle, and is run when it is asked for.
  format: 'cjs',
  supported: { 'dynamic-import': false },
  platform: 'node',
  target: 'node20',
  // Names stay, for stack traces; what is left out need not be parsed at each start.
  minifyWhitespace: true,
  minifySyntax: true,
  logLevel: 'warning',
};

// Also what an earlier run left.
rmSync(join(root, 'dist', 'programs'), { recursive: true, force: true });

const bundle = (name, source) =>
  build({
    ...common,
    ...source,
    // As deep below dist/ as every module is, so that protocol/paths.ts finds the package from there too.
    outfile: join('dist', 'programs', `${name}.cjs`),
    define: {
      'import.meta.url': 'bundleURL',
      // msgpackr has a native part for strings in bulk, of which our messages have none; finding it takes milliseconds.
      'process.env.MSGPACKR_NATIVE_ACCELERATION_DISABLED': '"true"',
    },
    banner: { js: "const bundleURL = require('node:url').pathToFileURL(__filename).href;" },
  });
// They have native parts, and may be missing.
const notBundled = ['node-pty', 'msgpackr-extract'];

for (const name of packages) {
  await bundle(name, { stdin: { contents: `export * from '${name}';`, resolveDir: root }, external: notBundled });
}
for (const program of programs) {
  const { dir, name } = parse(program);
  const entry = join('dist', program);
  await bundle(name, { entryPoints: [entry], external: [...notBundled, ...packages] });
  const checkNode = dir === 'bin' ? "require('./bin/check-node.js');" : '';
  await build({
    ...common,
    stdin: { contents: `${checkNode}require('../scripts/load-program.cjs');`, resolveDir: join(root, 'dist') },
    outfile: join('dist', dir, `${name}.cjs`),
    define: { PROGRAM: JSON.stringify(name), PACKAGES: JSON.stringify(packages) },
    banner: { js: '#!/usr/bin/env node' },
  });
  // For those who know the program by this name. It takes a detour through Node's loader of ES modules: some milliseconds.
  writeFileSync(join(root, entry), `#!/usr/bin/env node\nimport './${name}.cjs';\n`);
  for (const file of [`${name}.js`, `${name}.cjs`]) chmodSync(join(root, 'dist', dir, file), 0o755);
}

await import('./manual.mjs');
await import('./code-cache.mjs');

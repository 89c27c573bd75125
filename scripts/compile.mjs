// Compiles the TypeScript to dist/, bundles each program with all that it imports into one file (loading a hundred small ones
// takes Node longer than everything that rootless-run does until its command starts), and the library, and writes the manual
// pages.
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, parse, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packages, programs } from './bundles.mjs';
import { bundleLibrary } from './bundling/library.mjs';
import { thirdPartyLicenses } from './bundling/licenses.mjs';
import { installFront } from './install-front.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const dist = join(root, 'dist');
const leastNode = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).engines.node.replace('>=', '');

/**
 * Where the module of a program is kept, whose place has an alias: the compiler writes it again only if it changes. Without the
 * suffix by which modules are found.
 */
const keptModule = (program) => join(dist, '.emitted', program.replace(/\.js$/, ''));

/** Of a program, for callers that use its module's name. */
const aliasOf = (program) => `#!/usr/bin/env node\nimport './${parse(program).name}.cjs';\n`;

/** Whether the alias is there, or nothing. */
function isAlias(program) {
  const file = join(dist, program);
  return !existsSync(file) || readFileSync(file, 'utf8') === aliasOf(program);
}

function compileTypeScript() {
  for (const program of programs) {
    const module = keptModule(program);
    // Otherwise the compiler was run by itself, and has written it there.
    if (!isAlias(program)) continue;
    if (existsSync(module)) copyFileSync(module, join(dist, program));
    // The alias of an earlier build, or nothing: what the compiler knows of its output is not true.
    else rmSync(join(dist, '.tsbuildinfo'), { force: true });
  }
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const { status } = spawnSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.json')], {
    stdio: 'inherit',
    cwd: root,
  });
  if (status !== 0) process.exit(status ?? 1);
  for (const program of programs) {
    mkdirSync(dirname(keptModule(program)), { recursive: true });
    copyFileSync(join(dist, program), keptModule(program));
  }
  copyFileSync(join(root, 'child/dhcp-event.sh'), join(dist, 'child/dhcp-event.sh'));
  const page = 'parent/observation/web/page';
  cpSync(join(root, page), join(dist, page), { recursive: true });
}

/** Of all bundles. */
const common = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node20',
  // Names stay, for stack traces; what is left out need not be parsed at each start.
  minifyWhitespace: true,
  minifySyntax: true,
  define: {
    // msgpackr has a native part for strings in bulk, of which our messages have none; finding it takes milliseconds.
    'process.env.MSGPACKR_NATIVE_ACCELERATION_DISABLED': '"true"',
    // The same for ws, whose native part is not installed.
    'process.env.WS_NO_BUFFER_UTIL': '"true"',
  },
  external: ['msgpackr-extract'],
  // What it consists of, for the licenses.
  metafile: true,
  logLevel: 'warning',
};

/**
 * Of programs: not ES modules, since V8 has a code cache for scripts only, and Node starts them sooner. What import() loads
 * stays in the bundle, and is run on demand.
 */
const script = { ...common, format: 'cjs', supported: { 'dynamic-import': false } };

/** Resolves with esbuild's records of the bundles. */
async function writeBundles() {
  const { build } = await import('esbuild');
  const metafiles = [];
  const bundle = async (name, source, external = []) => {
    const { metafile } = await build({
      ...script,
      ...source,
      external: [...common.external, ...external],
      // As deep below dist/ as every module is, so that protocol/paths.ts finds the package from there too.
      outfile: join('dist', 'programs', `${name}.cjs`),
      define: { ...common.define, 'import.meta.url': 'bundleURL' },
      // A function, so that load-bundle.cjs need not make another string of that length.
      banner: {
        js: "(function (require, module, __filename) {const bundleURL = require('node:url').pathToFileURL(__filename).href;",
      },
      footer: { js: '})' },
    });
    metafiles.push(metafile);
  };

  // Also removes bundles of an earlier build.
  rmSync(join(dist, 'programs'), { recursive: true, force: true });
  for (const name of packages) {
    await bundle(name, { stdin: { contents: `export * from '${name}';`, resolveDir: root } });
  }
  for (const program of programs) {
    const { dir, name } = parse(program);
    await bundle(name, { entryPoints: [join('dist', program)] }, packages);
    await build({
      ...script,
      stdin: { contents: loaderOf(dir, name), resolveDir: dist },
      outfile: join('dist', dir, `${name}.cjs`),
      define: { LEAST_NODE: JSON.stringify(leastNode) },
      banner: { js: '#!/usr/bin/env node' },
    });
    // An alias for callers that use this name. It takes a detour through Node's loader of ES modules: some milliseconds.
    writeFileSync(join(dist, program), aliasOf(program));
    for (const file of [`${name}.js`, `${name}.cjs`]) chmodSync(join(dist, dir, file), 0o755);
  }
  return metafiles;
}

/** Source of dist/bin/NAME.cjs, and of dist/child/agent.cjs: runs the bundle with its code cache. */
function loaderOf(dir, name) {
  const checkNode = dir === 'bin' ? "require('./bin/check-node.js');" : '';
  const bundles = "require('node:path').join(__dirname, '..', 'programs')";
  const list = JSON.stringify(packages);
  return `${checkNode}require('../scripts/load-bundle.cjs').load(${bundles}, ${JSON.stringify(name)}, ${list}, require);`;
}

async function writeManualPages() {
  const { manualPage } = await import('../dist/bin/manual/page.js');
  const texts = await import('../dist/bin/manual/texts.js');
  const { makeRunCommand } = await import('../dist/bin/run/options/command.js');
  const { rootlesskit, rootlessRun } = await import('../dist/bin/run/dialect.js');
  const { makeRootlessctlCommand } = await import('../dist/bin/ctl/command.js');
  const { makeRootlessNetCommand } = await import('../dist/bin/net/command.js');
  const { VERSION } = await import('../dist/protocol/version.js');
  const pages = [
    [makeRunCommand(rootlessRun), texts.rootlessRunManual],
    [makeRunCommand(rootlesskit), texts.rootlesskitManual],
    [makeRootlessctlCommand(), texts.rootlessctlManual],
    [makeRootlessNetCommand(), texts.rootlessNetManual],
  ];
  mkdirSync(join(dist, 'man'), { recursive: true });
  for (const [command, text] of pages) {
    writeFileSync(join(dist, 'man', `${command.name()}.1`), manualPage(command, text, VERSION));
  }
}

async function writeCompletions() {
  const { scriptPath, shellScript, shells } = await import('../dist/bin/completion/shell-scripts.js');
  for (const shell of shells) {
    for (const program of ['rootless-run', 'rootlessctl', 'rootless-net']) {
      const path = join(dist, 'completions', scriptPath(shell, program));
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, shellScript(shell, program));
    }
  }
}

compileTypeScript();
const metafiles = [...(await writeBundles()), await bundleLibrary(dist, common)];
writeFileSync(join(dist, 'THIRD-PARTY-LICENSES'), thirdPartyLicenses(root, metafiles));
installFront(root);
await writeManualPages();
await writeCompletions();
await import('./code-cache.mjs');

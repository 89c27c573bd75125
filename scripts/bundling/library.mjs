// Bundles the library, dist/library/: its modules with all packages that they import, and the declarations of its types. So
// it depends on no package, installs in one piece, and reads a few files instead of hundreds.
import { copyFileSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join } from 'node:path';

/** By their names in dist/library/; package.json has them as exports. */
const entries = {
  index: 'parent/index',
  client: 'parent/client/index',
  protocol: 'protocol/index',
};

/**
 * Modules of Node that bundled CommonJS requires: an ES module has no require(). And node:http: since Node 22 an import of
 * it loads undici, which takes 50 ms.
 */
const builtins = {
  name: 'builtins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /./ }, ({ path, kind }) =>
      isBuiltin(path) && (kind === 'require-call' || /^(node:)?https?$/.test(path))
        ? { path: path.replace(/^node:/, ''), namespace: 'builtin', sideEffects: false }
        : undefined,
    );
    onLoad({ filter: /./, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
    }));
  },
};

/** Copies a module's declarations, and those that they import. */
function copyDeclarations(dist, file, seen) {
  if (seen.has(file)) return;
  seen.add(file);
  const to = join(dist, 'library', 'types', file);
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(join(dist, file), to);
  for (const [, imported] of readFileSync(to, 'utf8').matchAll(/(?:\bfrom|\bimport\() ?'(\.[^']+)\.js'/g)) {
    copyDeclarations(dist, join(dirname(file), `${imported}.d.ts`), seen);
  }
}

/** Writes dist/library/ of what is compiled, with these options of esbuild's; resolves with its record of the bundles. */
export async function bundleLibrary(dist, options) {
  const { build } = await import('esbuild');
  rmSync(join(dist, 'library'), { recursive: true, force: true });
  const { metafile } = await build({
    ...options,
    // Node shows the line of an error that a program does not catch.
    minifyWhitespace: false,
    minifySyntax: false,
    format: 'esm',
    // What import() loads is read on demand, and the entries share their classes.
    splitting: true,
    entryPoints: Object.fromEntries(Object.entries(entries).map(([name, path]) => [name, join(dist, `${path}.js`)])),
    // Without folders: protocol/paths.ts finds the package from each file.
    outdir: join(dist, 'library'),
    plugins: [builtins],
  });
  const seen = new Set();
  for (const path of Object.values(entries)) copyDeclarations(dist, `${path}.d.ts`, seen);
  return metafile;
}

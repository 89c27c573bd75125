import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { repoRoot, run, tempDir } from '../../support/index.js';

/** Imports that the linter has to accept. */
const allowed = [
  ['bin/net/list.ts', 'parent/stack/stack.ts'],
  ['bin/net/list.ts', 'protocol/api/types.ts'],
  ['parent/stack/stack.ts', 'native/index.ts'],
  ['native/index.ts', 'protocol/paths.ts'],
  ['child/agent.ts', 'child/container/index.ts'],
  ['child/container/api/server.ts', 'child/container/lifecycle/manager.ts'],
  ['child/container/api/server.ts', 'child/container/network-admin/network-admin.ts'],
  ['child/container/network-admin/network-admin.ts', 'child/container/lifecycle/manager.ts'],
  ['child/container/network/registry.ts', 'child/container/ports/publisher.ts'],
  ['child/container/network/registry.ts', 'protocol/api/types.ts'],
  ['child/container/storage/lock.ts', 'protocol/ports/spec.ts'],
  ['child/container/process/group.ts', 'child/container/oci/runtime.ts'],
  ['child/container/network/attacher.ts', 'child/container/ports/publisher.ts'],
  ['child/container/network/attacher.ts', 'protocol/api/types.ts'],
  ['test/unit/some.test.ts', 'child/container/oci/runtime.ts'],
  ['bench/some.ts', 'bin/run/options.ts'],
] as const;

/** Imports that turn back. */
const refused = [
  ['parent/stack/stack.ts', 'bin/run/options.ts'],
  ['parent/stack/stack.ts', 'child/agent.ts'],
  ['bin/run/options.ts', 'child/connect/plans.ts'],
  ['child/agent.ts', 'parent/stack/stack.ts'],
  ['child/connect/plans.ts', 'bin/run/options.ts'],
  ['protocol/api/types.ts', 'native/index.ts'],
  ['protocol/api/types.ts', 'parent/stack/stack.ts'],
  ['native/index.ts', 'parent/stack/stack.ts'],
  ['child/container/storage/lock.ts', 'parent/stack/stack.ts'],
  ['child/container/storage/lock.ts', 'child/container/oci/runtime.ts'],
  ['child/container/process/group.ts', 'child/container/lifecycle/manager.ts'],
  ['child/container/ports/publisher.ts', 'child/container/network/registry.ts'],
  ['child/container/network/bridge/driver.ts', 'child/container/lifecycle/manager.ts'],
  ['child/container/exec/execs.ts', 'child/container/api/server.ts'],
  ['child/container/lifecycle/manager.ts', 'child/container/network-admin/update.ts'],
  ['child/container/oci/spec.ts', 'child/container/process/group.ts'],
  ['child/container/network-admin/network-admin.ts', 'child/container/api/server.ts'],
  ['child/container/network/registry.ts', 'child/container/network-admin/network-admin.ts'],
  ['child/container/network/registry.ts', 'child/container/lifecycle/manager.ts'],
  ['child/container/errors.ts', 'child/container/storage/lock.ts'],
] as const;

interface Diagnostic {
  category: string;
  location: { path: string };
}

/** Writes modules with these imports below `directory`, and lints them by this checkout's configuration. */
async function lint(
  directory: string,
  imports: readonly (readonly [string, string])[],
  exporting = 'export',
): Promise<Diagnostic[]> {
  copyFileSync(join(repoRoot, 'biome.json'), join(directory, 'biome.json'));
  const lines = new Map<string, string>();
  imports.forEach(([from, to], index) => {
    const path = relative(dirname(from), to).replace(/\.ts$/, '.js');
    const specifier = path.startsWith('.') ? path : `./${path}`;
    lines.set(from, `${lines.get(from) ?? ''}${exporting} { value as value${index} } from '${specifier}';\n`);
    if (!lines.has(to)) lines.set(to, '');
  });
  for (const [file, text] of lines) {
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    writeFileSync(join(directory, file), `${text}export const value = 1;\n`);
  }
  const biome = join(repoRoot, 'node_modules', '@biomejs', 'biome', 'bin', 'biome');
  const args = [biome, 'lint', '--vcs-enabled=false', '--reporter=json', '--max-diagnostics=none', '.'];
  const { stdout } = await run(process.execPath, args, { cwd: directory });
  return (JSON.parse(stdout) as { diagnostics: Diagnostic[] }).diagnostics;
}

describe('import rules of the linter', () => {
  it('accept imports along bin → parent → protocol ← child and down the layers of child/container', async () => {
    assert.deepEqual(await lint(tempDir(), allowed), []);
  });

  describe('refuse', () => {
    /** One run for all: each import is in a module of its own, so that there are no cycles; errors.ts has a rule by name. */
    const moduleOf = (from: string, index: number) => from.replace(/(?<!errors)\.ts$/, `-${index}.ts`);
    let found: Diagnostic[];

    before(async () => {
      const imports = refused.map(([from, to], index) => [moduleOf(from, index), to] as const);
      found = await lint(tempDir(), imports);
    });

    refused.forEach(([from, to], index) => {
      it(`${to} in ${from}`, () => {
        const diagnostics = found.filter(({ location }) => location.path === moduleOf(from, index));
        assert.deepEqual(
          diagnostics.map(({ category }) => category),
          ['lint/style/noRestrictedImports'],
        );
      });
    });

    it('nothing else', () => {
      assert.equal(found.length, refused.length);
    });
  });

  for (const [what, exporting] of [
    ['a cycle', 'export'],
    ['a cycle of types', 'export type'],
  ] as const) {
    it(`refuse ${what}`, async () => {
      const imports = [
        ['parent/stack/a.ts', 'parent/stack/b.ts'],
        ['parent/stack/b.ts', 'parent/state/c.ts'],
        ['parent/state/c.ts', 'parent/stack/a.ts'],
      ] as const;
      const found = await lint(tempDir(), imports, exporting);
      assert.ok(found.length > 0);
      for (const { category } of found) assert.equal(category, 'lint/suspicious/noImportCycles');
    });
  }
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { repoRoot, run } from '../../support/index.js';
import { projectDirectory } from './project-directory.js';

/** The programs in a page: blocks of TypeScript that import something. */
function programsIn(page: string): string[] {
  const text = readFileSync(join(repoRoot, page), 'utf8');
  return [...text.matchAll(/^```ts\n([\s\S]*?)\n```$/gm)]
    .map(([, code = '']) => code)
    .filter((code) => /^import /m.test(code));
}

describe('programs in the documentation', () => {
  let directory: string;
  before(() => {
    directory = projectDirectory();
  });

  for (const page of ['README.md', 'docs/guide/library.md']) {
    for (const [index, code] of programsIn(page).entries()) {
      it(`work: ${page}, number ${index + 1}`, async () => {
        const outfile = join(directory, `program${index}.mjs`);
        await build({
          stdin: { contents: code, loader: 'ts', resolveDir: directory },
          format: 'esm',
          target: 'node20',
          outfile,
          logLevel: 'silent',
        });
        const { code: exitCode, stdout, stderr } = await run(process.execPath, [outfile], { cwd: directory });
        assert.equal(exitCode, 0, stderr);
        assert.ok(!/Error|Warning/.test(stderr), stderr);
        assert.notEqual(stdout, '');
      });
    }
  }
});

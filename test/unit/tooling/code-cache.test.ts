import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { repoRoot, run, tempDir } from '../../support/index.js';

const scripts = join(repoRoot, 'scripts');

describe('the code cache of a program', () => {
  let directory: string;
  let file: string;

  before(async () => {
    const copy = tempDir();
    directory = join(copy, 'dist/programs');
    mkdirSync(directory, { recursive: true });
    copyFileSync(join(repoRoot, 'package.json'), join(copy, 'package.json'));
    copyFileSync(join(repoRoot, 'dist/programs/rootlessctl.cjs'), join(directory, 'rootlessctl.cjs'));
    const made = await run(process.execPath, [join(scripts, 'code-cache.mjs'), directory, 'rootlessctl', '']);
    assert.deepEqual([made.code, made.stderr], [0, '']);
    const [cache, ...others] = readdirSync(directory).filter((name) => name !== 'rootlessctl.cjs');
    assert(cache !== undefined && others.length === 0, 'one for this node, and nothing half done');
    file = join(directory, cache);
  });

  /** Runs the program, without arguments; whether V8 refused the cache goes to standard error. */
  async function load(): Promise<string> {
    const script = `
      const { load } = require(${JSON.stringify(join(scripts, 'load-bundle.cjs'))});
      const script = load(${JSON.stringify(directory)}, 'rootlessctl', [], require);
      console.error(script.cachedDataRejected);`;
    const { code, stdout, stderr } = await run(process.execPath, ['-e', script]);
    assert.equal(code, 0);
    assert.match(stdout, /^Usage: rootlessctl /);
    return stderr.trim();
  }

  it('is accepted by the node that made it', async () => {
    assert.equal(await load(), 'false');
  });

  it('is skipped if V8 rejects it, as it does what another version made', async () => {
    const made = readFileSync(file);
    // Its version follows the first word, which is a type.
    writeFileSync(file, Buffer.concat([made.subarray(0, 4), Buffer.from('????'), made.subarray(8)]));
    assert.equal(await load(), 'true');
    writeFileSync(file, '');
    assert.equal(await load(), 'true');
  });
});

describe('the bundles of programs', () => {
  it('do not load packages that a container on a running stack does not need', async () => {
    const script = `
      const { load, scripts } = require(${JSON.stringify(join(scripts, 'load-bundle.cjs'))});
      process.argv.splice(1, process.argv.length, 'rootless-net', 'version');
      process.on('exit', () => console.error([...scripts.keys()].join()));
      load(${JSON.stringify(join(repoRoot, 'dist/programs'))}, 'rootless-net', ['execa', 'ws'], require);`;
    const { code, stdout, stderr } = await run(process.execPath, ['-e', script]);
    assert.deepEqual([code, stderr.trim()], [0, 'rootless-net'], stdout);
  });

  it('refer by name to each of the modules that are loaded when first used', () => {
    const { LAZY } = createRequire(import.meta.url)(join(scripts, 'load-bundle.cjs')) as { LAZY: string[] };
    assert(LAZY.length > 0);
    const programs = join(repoRoot, 'dist/programs');
    const bundles = readdirSync(programs).filter((name) => name.endsWith('.cjs'));
    for (const name of bundles) {
      const text = readFileSync(join(programs, name), 'latin1');
      // What copies the names of a module, or extends a class of it, loads it at once or finds nothing.
      const copied = LAZY.filter((module) => new RegExp(`(?<!\\w\\s*=\\s*)require\\("${module}"\\)`).test(text));
      assert.deepEqual(copied, [], name);
    }
  });
});

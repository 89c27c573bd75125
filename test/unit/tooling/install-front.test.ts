import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot, run, tempDir } from '../../support/index.js';

const scripts = join(repoRoot, 'scripts');

describe('the commands of the package', () => {
  const made = (copy: string) => readFileSync(join(copy, 'dist/bin/rootlessctl'));
  const front = () => readFileSync(join(repoRoot, 'native/build/Release/front'));
  const script = "#!/usr/bin/env node\nimport './rootlessctl.cjs';\n";

  /** A package as it is after compiling, and with the native part where it is built. */
  function copyOf(built: boolean): string {
    const copy = tempDir();
    cpSync(join(repoRoot, 'package.json'), join(copy, 'package.json'));
    mkdirSync(join(copy, 'dist/bin'), { recursive: true });
    cpSync(join(repoRoot, 'dist/bin/rootlessctl.cjs'), join(copy, 'dist/bin/rootlessctl.cjs'));
    cpSync(join(repoRoot, 'dist/programs/rootlessctl.cjs'), join(copy, 'dist/programs/rootlessctl.cjs'));
    mkdirSync(join(copy, 'native/build/Release'), { recursive: true });
    if (built) cpSync(join(repoRoot, 'native/build/Release/front'), join(copy, 'native/build/Release/front'));
    return copy;
  }

  async function install(copy: string, env: Record<string, string | undefined> = {}): Promise<void> {
    const code = `import(process.argv[1]).then(({ installFront }) => installFront(process.argv[2]));`;
    const clean = { npm_command: undefined, npm_config_user_agent: undefined, ...env };
    const result = await run(process.execPath, ['-e', code, join(scripts, 'install-front.mjs'), copy], { env: clean });
    assert.deepEqual([result.stderr, result.code], ['', 0]);
  }

  it('are native fronts if they are built, and work', async () => {
    const copy = copyOf(true);
    await install(copy);
    assert(made(copy).equals(front()));
    const record = readFileSync(join(copy, 'native/build/front-paths'), 'utf8');
    assert.equal(record, `${process.execPath}\nnative/build/Release\n`);
    const { stdout, code } = await run(join(copy, 'dist/bin/rootlessctl'), ['--version']);
    assert.match(stdout, /^rootlessctl version /);
    assert.equal(code, 0);
  });

  for (const [name, built, env] of [
    ['no native part is built, as without install scripts', false, {}],
    ['the package is made for others', true, { npm_command: 'pack' }],
    ['the package is published', true, { npm_command: 'publish' }],
    ['the package manager runs them as scripts', true, { npm_config_user_agent: 'yarn/1.22.22 npm/? node/v20.19.0' }],
  ] as const) {
    it(`are scripts where ${name}, and work`, async () => {
      const copy = copyOf(built);
      // What an earlier run left.
      writeFileSync(join(copy, 'dist/bin/rootlessctl'), '');
      await install(copy, env);
      assert.equal(made(copy).toString(), script);
      const { stdout, code } = await run(process.execPath, [join(copy, 'dist/bin/rootlessctl'), '--version']);
      assert.match(stdout, /^rootlessctl version /);
      assert.equal(code, 0);
    });
  }

  it('are started by the tests as by users, and not as scripts of Node', () => {
    const sources = readdirSync(join(repoRoot, 'test'), { recursive: true, encoding: 'utf8' });
    for (const file of sources.filter((name) => name.endsWith('.ts'))) {
      const text = readFileSync(join(repoRoot, 'test', file), 'utf8');
      assert.doesNotMatch(text, /process\.execPath[^\w]{1,8}binPath\(/, `${file}: run binPath(…) itself`);
    }
  });
});

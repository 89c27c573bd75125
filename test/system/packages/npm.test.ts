import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { testUser } from '../../setup/machine/prepare.js';
import { type RunResult, run, tempDir } from '../../support/index.js';
import { type Packed, pack } from './packed.js';
import { type Registry, startRegistry } from './registry.js';

/** What an installation may take on the disk, in KiB. */
const LARGEST = 20 * 1024;
/** Of the package managers from npm; kept between runs. */
const MANAGERS = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'rootless-net-build', 'managers');

/** PATH of the tests has no compiler, and no make. */
describe('the packages, installed without a compiler', function () {
  this.timeout(240_000);
  let packed: Packed;
  let registry: Registry;
  /** Shared by all, so that most installations find the dependencies in their caches. */
  let caches: string;
  /** A copy that every user can read. */
  let managers: string;

  before(async function () {
    this.timeout(600_000);
    if (process.getuid?.() !== 0 || process.arch !== 'x64') this.skip();
    for (const name of ['gcc', 'cc', 'g++', 'c++', 'make']) {
      assert.equal(spawnSync(name, ['--version']).error !== undefined, true, `${name} is in PATH`);
    }
    packed = await pack();
    registry = await startRegistry(packed.native);
    // The users have to reach what is in the directory of this run.
    chmodSync(dirname(tmpdir()), 0o711);
    caches = tempDir();
    chmodSync(caches, 0o1777);
    if (!existsSync(join(MANAGERS, 'node_modules', 'pnpm'))) {
      mkdirSync(MANAGERS, { recursive: true });
      await must(run('npm', ['install', '--prefix', MANAGERS, 'pnpm@10', 'yarn@1'], { timeout: 100_000 }));
    }
    managers = join(caches, 'managers');
    cpSync(join(MANAGERS, 'node_modules'), managers, { recursive: true });
  });
  after(async () => {
    await registry?.[Symbol.asyncDispose]();
  });

  async function must(running: Promise<RunResult>): Promise<string> {
    const { code, stdout, stderr } = await running;
    assert.equal(code, 0, stdout + stderr);
    return stdout + stderr;
  }

  /** A user with an empty home directory. */
  function newUser(name: 'root' | typeof testUser) {
    const home = tempDir();
    const bin = join(home, 'prefix', 'bin');
    for (const directory of ['run', 'project', 'prefix']) mkdirSync(join(home, directory));
    writeFileSync(join(home, '.npmrc'), `@rootless-net:registry=${registry.url}\n`);
    writeFileSync(join(home, '.yarnrc'), `"@rootless-net:registry" "${registry.url}"\n`);
    writeFileSync(join(home, 'project', 'package.json'), '{ "name": "project", "version": "1.0.0" }');
    const owner = spawnSync('chown', ['-R', `${name}:`, home]);
    assert.equal(owner.status, 0);
    chmodSync(home, 0o755);
    // Where npm runs the tests, it passes its own settings on, the path of its .npmrc among them.
    const ofNpm = Object.keys(process.env).filter((key) => /^npm_/i.test(key));
    const env = {
      ...Object.fromEntries(ofNpm.map((key) => [key, undefined])),
      HOME: home,
      XDG_RUNTIME_DIR: join(home, 'run'),
      npm_config_prefix: join(home, 'prefix'),
      npm_config_cache: join(caches, `npm-${name}`),
      npm_config_update_notifier: 'false',
      npm_config_store_dir: join(caches, `pnpm-${name}`),
      YARN_CACHE_FOLDER: join(caches, `yarn-${name}`),
      TMPDIR: undefined,
    };
    const as = name === 'root' ? [] : [`--reuid=${name}`, `--regid=${name}`, '--init-groups'];
    const type = (directory: string, ...words: string[]) =>
      run('setpriv', [...as, '--', ...words], { cwd: join(home, directory), env, timeout: 180_000 });
    return { home, bin, type };
  }

  /** Runs it as users do, and checks that it is the built one that runs. */
  async function works({ type }: ReturnType<typeof newUser>, bin: string, modules: string) {
    const version = await must(type('.', join(bin, 'rootless-run'), '--version'));
    assert.match(version, /^rootless-run version \d/);
    const command = [join(bin, 'rootless-run'), '--net=none', '--copy-up=/etc', 'echo', 'it', 'works'];
    assert.match(await must(type('.', ...command)), /^it works$/m);
    assert.equal(existsSync(join(modules, 'rootless-net/native/build/Release')), false, 'nothing was compiled');
  }

  const files = (directory: string) => readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort();

  for (const [name, how, ...options] of [
    ['root', 'with the scripts that npm allows by itself'],
    [testUser, 'with install scripts', '--dangerously-allow-all-scripts'],
    [testUser, 'without install scripts', '--ignore-scripts'],
  ] as const) {
    it(`work for ${name === 'root' ? name : 'a user'} ${how}, and leave nothing behind`, async () => {
      const user = newUser(name);
      const prefix = join(user.home, 'prefix');
      await must(user.type('.', 'npm', 'install', '--global', ...options, packed.main));
      await works(user, user.bin, join(prefix, 'lib/node_modules'));
      const size = Number.parseInt((await run('du', ['-sk', prefix])).stdout, 10);
      assert(size < LARGEST, `${size} KiB`);
      await must(user.type('.', 'npm', 'uninstall', '--global', 'rootless-net'));
      const left = files(prefix).filter((file) => !/^(bin|lib(\/node_modules)?|share(\/man(\/man1)?)?)$/.test(file));
      assert.deepEqual(left, []);
    });
  }

  it('have the native front after npm rebuild', async () => {
    const user = newUser(testUser);
    await must(user.type('project', 'npm', 'install', '--ignore-scripts', packed.main));
    const fronts = async () => {
      const { stdout } = await run('head', [
        '-c',
        '4',
        join(user.home, 'project/node_modules/rootless-net/dist/bin/rootless-run'),
      ]);
      return stdout === '\x7fELF';
    };
    assert.equal(await fronts(), false);
    await must(user.type('project', 'npm', 'rebuild', '--dangerously-allow-all-scripts'));
    assert.equal(await fronts(), true);
    await works(user, join(user.home, 'project/node_modules/.bin'), join(user.home, 'project/node_modules'));
  });

  for (const [manager, ...words] of [
    ['pnpm', 'add'],
    ['yarn', 'add', '--non-interactive'],
    ['yarn', 'add', '--non-interactive', '--ignore-scripts'],
  ] as const) {
    it(`work with ${[manager, ...words].join(' ')}`, async () => {
      const user = newUser(testUser);
      const script = join(managers, manager, 'bin', manager === 'pnpm' ? 'pnpm.cjs' : 'yarn.js');
      await must(user.type('project', process.execPath, script, ...words, `file:${packed.main}`));
      const modules = join(user.home, 'project/node_modules');
      await works(user, join(modules, '.bin'), modules);
    });
  }

  it('name the commands that bring a native part that is left out', async () => {
    const user = newUser(testUser);
    await must(user.type('project', 'npm', 'install', '--ignore-scripts', '--omit=optional', packed.main));
    const { code, stderr } = await user.type('project', './node_modules/.bin/rootless-run', '--net=none', 'true');
    assert.equal(code, 125);
    assert.match(
      stderr,
      /; hint: install this package again without --omit=optional, which brings @rootless-net\/linux-x64-gnu; or build it with: node \/\S+\/build-native\.mjs \(needs a C\+\+ compiler/,
    );
    await must(user.type('project', 'npm', 'install', '--ignore-scripts', '--include=optional', packed.main));
    await works(user, join(user.home, 'project/node_modules/.bin'), join(user.home, 'project/node_modules'));
  });
});

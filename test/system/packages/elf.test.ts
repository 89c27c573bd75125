import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DF_1_PIE, DT_FLAGS_1, PF_X, PT_GNU_RELRO, PT_GNU_STACK, PT_INTERP, readElf } from '../../support/elf.js';
import { repoRoot, run, tempDir } from '../../support/index.js';

const PREBUILT = join(repoRoot, 'prebuilt');
const ADDON = 'rootless_net.node';

/** Whether that version of glibc is there on all machines that Node.js 20 runs on: those with 2.28. */
function isOld(version: string): boolean {
  const [, major, minor] = /^GLIBC_(\d+)\.(\d+)/.exec(version) ?? [];
  return Number(major) === 2 && Number(minor) <= 28;
}

/** Loads a library, with all symbols at once. */
const LOADER = `
#include <dlfcn.h>
#include <stdio.h>
int main(int count, char** words) {
  void* library = dlopen(words[1], RTLD_NOW);
  if (library == NULL || dlsym(library, "napi_register_module_v1") == NULL) {
    puts(dlerror());
    return 1;
  }
  return 0;
}
`;

/** They are there after npm run prebuild, which takes minutes: nobody has to build them to run the tests. */
const packages = existsSync(PREBUILT) ? readdirSync(PREBUILT).filter((name) => /^linux-/.test(name)) : [];

describe('the prebuilt native parts', () => {
  if (packages.length === 0) return;

  it('are programs without a C library, at random addresses', () => {
    for (const name of packages) {
      const programs = readdirSync(join(PREBUILT, name)).filter((file) => !/\.|LICENSE/.test(file));
      assert.deepEqual(programs.sort(), [
        'container_exec',
        'container_init',
        'container_monitor',
        'front',
        'launcher',
        'oci_hook',
      ]);
      for (const program of programs) {
        const { segments, libraries, dynamic } = readElf(join(PREBUILT, name, program));
        assert.deepEqual(
          [libraries, segments.some(({ type }) => type === PT_INTERP)],
          [[], false],
          `${name}/${program} is static`,
        );
        assert((dynamic.get(DT_FLAGS_1) ?? 0n) & DF_1_PIE, `${name}/${program}: DF_1_PIE`);
      }
    }
  });

  it('are addons that need the C library alone, and none that is newer than 2.28', () => {
    for (const name of packages) {
      const { libraries, versions } = readElf(join(PREBUILT, name, ADDON));
      const known = name.endsWith('-musl')
        ? /^libc\.so$/
        : /^(lib(c|m|pthread|rt|dl)\.so\.\d|ld-linux-[\w-]+\.so\.\d)$/;
      assert.deepEqual(
        libraries.filter((library) => !known.test(library)),
        [],
        name,
      );
      assert.deepEqual(
        versions.filter((version) => !isOld(version)),
        [],
        name,
      );
      if (name.endsWith('-gnu')) assert(versions.length > 0);
    }
  });

  it('have nothing writable that is executable, or that the dynamic linker has filled in', () => {
    for (const name of packages) {
      for (const file of readdirSync(join(PREBUILT, name)).filter((file) => !/\.json|LICENSE/.test(file))) {
        const { segments } = readElf(join(PREBUILT, name, file));
        const stack = segments.find(({ type }) => type === PT_GNU_STACK);
        assert.equal((stack?.flags ?? PF_X) & PF_X, 0, `${name}/${file}: GNU_STACK`);
        assert(
          segments.some(({ type }) => type === PT_GNU_RELRO),
          `${name}/${file}: GNU_RELRO`,
        );
      }
    }
  });

  const musl = join(PREBUILT, 'linux-x64-musl', ADDON);
  if (existsSync(musl)) {
    it('can be loaded by musl, which has all that they need but what Node brings', async () => {
      const directory = tempDir();
      const [source, program] = [join(directory, 'load.c'), join(directory, 'load')];
      // Stands for Node: no registry has one that is built with musl.
      const ofNode = [...readElf(musl).symbols].filter((name) => /^(napi|uv)_/.test(name));
      assert(ofNode.length > 20, `${ofNode}`);
      const stubs = ofNode.map((name) => `void ${name}(void) {}`);
      writeFileSync(source, [...stubs, LOADER].join('\n'));
      // The compiler behind it, which finds assembler and linker beside itself.
      const env = { REALGCC: '/usr/bin/gcc', PATH: '/usr/bin' };
      const compiled = await run('/usr/bin/musl-gcc', ['-rdynamic', '-o', program, source], { env });
      assert.equal(compiled.code, 0, compiled.stderr);
      assert.deepEqual(await run(program, [musl]), { code: 0, signal: null, stdout: '', stderr: '' });
    });
  }
});

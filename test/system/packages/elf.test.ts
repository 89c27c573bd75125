import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DF_1_PIE, DT_FLAGS_1, PF_X, PT_GNU_RELRO, PT_GNU_STACK, PT_INTERP, readElf } from '../../support/elf.js';
import { repoRoot } from '../../support/index.js';

const PREBUILT = join(repoRoot, 'prebuilt');
const ADDON = 'rootless_net.node';

/** Whether that version of glibc is there on all machines that Node.js 20 runs on: those with 2.28. */
function isOld(version: string): boolean {
  const [, major, minor] = /^GLIBC_(\d+)\.(\d+)/.exec(version) ?? [];
  return Number(major) === 2 && Number(minor) <= 28;
}

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
});

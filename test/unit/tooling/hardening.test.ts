import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  DF_1_NOW,
  DF_1_PIE,
  DF_BIND_NOW,
  DT_FLAGS,
  DT_FLAGS_1,
  ET_DYN,
  PF_X,
  PT_GNU_RELRO,
  PT_GNU_STACK,
  readElf,
} from '../../support/elf.js';
import { repoRoot } from '../../support/index.js';

/** What native/binding.gyp builds. */
function targets(): { file: string; executable: boolean; libc: boolean }[] {
  const text = readFileSync(join(repoRoot, 'native/binding.gyp'), 'utf8');
  return text
    .split(/(?='target_name')/)
    .slice(1)
    .map((target) => {
      const name = /'target_name': '([^']+)'/.exec(target)?.[1] ?? '';
      const executable = /'type': 'executable'/.test(target);
      return { file: executable ? name : `${name}.node`, executable, libc: !target.includes("'-nostdlib'") };
    });
}

describe('what the native part is built with', () => {
  it('is checked in all that is built', () => {
    const files = targets().map(({ file }) => file);
    for (const known of ['rootless_net.node', 'launcher', 'container_monitor', 'oci_hook'])
      assert(files.includes(known));
  });

  for (const { file, executable, libc } of targets()) {
    describe(file, () => {
      const read = () => readElf(join(repoRoot, 'native/build/Release', file));

      it('has nothing writable that the dynamic linker has filled in', () => {
        const { segments, dynamic } = read();
        assert(
          segments.some(({ type }) => type === PT_GNU_RELRO),
          'GNU_RELRO',
        );
        // What is static binds nothing later.
        if (!dynamic.has(DT_FLAGS) && !dynamic.has(DT_FLAGS_1)) return;
        const bindsNow = (dynamic.get(DT_FLAGS) ?? 0n) & DF_BIND_NOW || (dynamic.get(DT_FLAGS_1) ?? 0n) & DF_1_NOW;
        assert(bindsNow, 'BIND_NOW');
      });

      it('is loaded at a random address', () => {
        const { type, dynamic } = read();
        assert.equal(type, ET_DYN);
        if (executable) assert((dynamic.get(DT_FLAGS_1) ?? 0n) & DF_1_PIE, 'DF_1_PIE');
      });

      it('has a stack that is not executable', () => {
        const stack = read().segments.find(({ type }) => type === PT_GNU_STACK);
        assert(stack, 'GNU_STACK');
        assert.equal(stack.flags & PF_X, 0);
      });

      // These are checks of the C library.
      if (!libc) return;
      it('keeps its stack and its buffers safe', () => {
        const names = [...read().symbols];
        assert(names.includes('__stack_chk_fail'), '-fstack-protector-strong');
        assert(
          names.some((name) => /^__(?!stack_).*_chk$/.test(name)),
          '_FORTIFY_SOURCE',
        );
      });
    });
  }

  it('checks indices into containers of the C++ library', () => {
    const { symbols } = readElf(join(repoRoot, 'native/build/Release/rootless_net.node'));
    assert([...symbols].some((name) => name.includes('glibcxx_assert_fail')));
  });
});

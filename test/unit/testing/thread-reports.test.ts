import assert from 'node:assert/strict';
import { reportsOfAddon } from '../../setup/results/thread-reports.js';

const ADDON = '<null> <null> (rootless_net.node+0x473de)';
const NODE = 'uv_pipe ../deps/uv/src/unix/pipe.c:463 (node+0x18b545d)';
const FREE = 'free ../include/rtld-malloc.h:50 (ld-linux-x86-64.so.2+0x11785)';
const RECVMSG = 'recvmsg ../../../../src/libsanitizer/sanitizer_common_interceptors.inc:3062 (libtsan.so+0x589fe)';

function report(first: string[], second: string[]): string {
  const frames = (stack: string[]) => stack.map((frame, i) => `    #${i} ${frame}`).join('\n');
  return `==================
WARNING: ThreadSanitizer: data race (pid=1)
  Write of size 8 at 0x7b0400015320 by thread T1:
${frames(first)}

  Previous write of size 8 at 0x7b0400015320 by main thread (mutexes: write M1):
${frames(second)}

  Location is heap block of size 192 at 0x7b3000006cc0 allocated by main thread:
    #0 operator new(unsigned long) (libtsan.so+0x87323)
    #1 ${NODE}

  Mutex M1 is already destroyed.

  Thread T1 (tid=2, running) created by main thread at:
    #0 pthread_create (libtsan.so+0x5e686)
    #1 ${NODE}

SUMMARY: ThreadSanitizer: data race in recvmsg
==================
`;
}

describe('reports of ThreadSanitizer', () => {
  it('are about the addon where both accesses are its own, by itself or through a library', () => {
    const own = report([RECVMSG, ADDON], [ADDON, NODE]);
    assert.deepEqual(reportsOfAddon(own), [own.replaceAll(/^=+$/gm, '').trim()]);
  });

  for (const [what, first, second] of [
    ["Node's on one side", [RECVMSG, ADDON], [NODE]],
    ["the C library's alone on one side", [FREE], [RECVMSG, ADDON]],
    ["Node's on both", [NODE, ADDON], [NODE]],
  ] as const) {
    it(`are not where the accesses are ${what}`, () => {
      assert.deepEqual(reportsOfAddon(report([...first], [...second])), []);
    });
  }

  it('are each counted', () => {
    const own = report([ADDON], [ADDON]);
    assert.equal(reportsOfAddon(own + report([NODE], [NODE]) + own).length, 2);
  });
});

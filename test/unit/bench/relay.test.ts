import assert from 'node:assert/strict';
import { parseProcessorTime, parseTicks, processorSeconds } from '../../../bench/measure/processor.js';
import { parsePss, proportionalMemory, withoutServer } from '../../../bench/measure/relay.js';

describe("a forwarder's processes", () => {
  const info = (pid: number, ppid: number, ...args: string[]) => ({ pid, ppid, comm: 'x', state: 'S', args });

  it('are those that neither are the server nor descend from it', () => {
    const tree = [
      info(1, 0, 'forwarder'),
      info(2, 1, 'server', '15201'),
      info(3, 1, 'helper'),
      info(4, 2, 'worker'),
      info(5, 4, 'helper'),
      info(6, 3, 'server', '15202'),
    ];
    assert.deepEqual(withoutServer(tree, ['server', '15201']), [1, 3, 6]);
    assert.deepEqual(withoutServer(tree.slice(1, 2), ['server', '15201']), []);
  });

  it('take time, which the kernel reports under any name', () => {
    const fields = ['S', ...Array.from({ length: 10 }, () => '0'), '1', '20', '300', '4000', '9', '9'];
    assert.equal(parseTicks(`42 (a b) c) ${fields.join(' ')}\n`), 4321);
    assert.ok(processorSeconds([process.pid]) > 0);
    assert.equal(processorSeconds([2 ** 22 + 1]), 0);
  });

  it('take memory', () => {
    assert.equal(
      parsePss('5500-7ffe ---p 00000000 00:00 0 [rollup]\nRss:  5 kB\nPss:    1234 kB\nPss_Dirty: 9 kB\n'),
      1234,
    );
    assert.ok(proportionalMemory([process.pid]) > 1);
    assert.equal(proportionalMemory([2 ** 22 + 1]), 0);
  });

  it('have their time beside that of the whole machine', () => {
    const text = 'cpu  100 20 30 1000 200 4 6 60 10 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n';
    assert.deepEqual(parseProcessorTime(text), { total: 1420, steal: 60, busy: 1.6 });
  });
});

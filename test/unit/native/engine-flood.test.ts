import assert from 'node:assert/strict';
import { Worker } from 'node:worker_threads';
import { native } from '../../../native/index.js';
import { openFds } from '../../support/process-info.js';
import { EngineSide } from '../../support/stacks/engine-side.js';
import { waitFor } from '../../support/wait-for.js';

const PACKET_SIZE = 32 * 1024;

/** Sends that many packets on a descriptor from a thread of its own, as fast as they are accepted. */
class Flood {
  readonly #sent = new Int32Array(new SharedArrayBuffer(4));
  readonly ended: Promise<unknown>;

  constructor(fd: number, packets: number) {
    const code = `
      const { workerData: { fd, packets, size, sent } } = require('node:worker_threads');
      const packet = Buffer.alloc(size, 0x81);
      for (let at = 0; at < packets; at++) {
        require('node:fs').writeSync(fd, packet);
        Atomics.add(sent, 0, 1);
      }`;
    const workerData = { fd, packets, size: PACKET_SIZE, sent: this.#sent };
    const worker = new Worker(code, { eval: true, workerData });
    this.ended = new Promise((resolve) => worker.once('exit', resolve));
  }

  get sent(): number {
    return Atomics.load(this.#sent, 0);
  }

  /** From the first packet on keeps this thread busy until nothing more is accepted; the engine has a thread of its own, and reads meanwhile. */
  stall(): number {
    let before = -1;
    for (let last = performance.now(); before <= 0 || performance.now() - last < 300; ) {
      if (this.sent === before) continue;
      before = this.sent;
      last = performance.now();
    }
    return before;
  }
}

describe('a channel whose other side floods it', () => {
  it('reads a bounded amount while nothing is handled, then all of it, and the end after it', async () => {
    const open = openFds();
    await takeFlood();
    await waitFor(() => openFds() === open, { what: 'every descriptor to be closed' });
  });

  async function takeFlood(): Promise<void> {
    using side = new EngineSide();
    const [ours, theirs] = native().socketpair();
    side.engine.openChannel(1, ours);
    const packets = 1000;
    const flood = new Flood(theirs, packets);
    try {
      const waiting = flood.stall();
      assert.ok(waiting * PACKET_SIZE < 4 * 1024 * 1024, `${waiting} packets were taken in and not handled`);
      await flood.ended;
    } finally {
      native().closeFd(theirs);
    }
    await side.wait('channel-closed');
    assert.equal(side.of('message').length, packets);
    assert.equal(side.events.at(-1)?.type, 'channel-closed');
  }
});

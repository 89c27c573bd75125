import assert from 'node:assert/strict';
import { fstatSync, writeSync } from 'node:fs';
import { native } from '../../../native/index.js';
import { EngineHost } from '../../../parent/engine/engine-host.js';

describe('the engine host', () => {
  it('delivers earlier packets and the end also to a late listener', async () => {
    const engineHost = new EngineHost('', () => {});
    try {
      const [ours, theirs] = native().socketpair();
      const channel = engineHost.open(ours);
      writeSync(theirs, 'one');
      writeSync(theirs, 'two');
      native().closeFd(theirs);
      // It answers after what came before.
      await engineHost.roundTrip();
      const messages: string[] = [];
      channel.onMessage((data) => messages.push(data.toString()));
      const reason = await new Promise<string>((resolve) => channel.onClose(resolve));
      assert.deepEqual(messages, ['one', 'two']);
      assert.equal(typeof reason, 'string');
    } finally {
      engineHost.close();
    }
  });

  it('passes on descriptors where they are accepted, and closes them elsewhere', async () => {
    const engineHost = new EngineHost('', () => {});
    try {
      const received = async (options: { acceptsFds?: boolean }): Promise<number[]> => {
        const [ours, theirs] = native().socketpair();
        const [readEnd, writeEnd] = native().pipe();
        const receiver = engineHost.open(ours, options);
        const sender = engineHost.open(theirs);
        const fds = new Promise<number[]>((resolve) => receiver.onMessage((_, fds) => resolve(fds)));
        sender.send(Buffer.from('a pipe'), [readEnd, writeEnd]);
        return fds;
      };
      const accepted = await received({ acceptsFds: true });
      assert.equal(accepted.length, 2);
      for (const fd of accepted) {
        assert.ok(fstatSync(fd).isFIFO());
        native().closeFd(fd);
      }
      assert.deepEqual(await received({}), []);
    } finally {
      engineHost.close();
    }
  });
});

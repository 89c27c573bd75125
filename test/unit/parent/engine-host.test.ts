import assert from 'node:assert/strict';
import { writeSync } from 'node:fs';
import { native } from '../../native/index.js';
import { Channels } from '../../parent/channels.js';

describe('channels', () => {
  it('tell what came, and that the other side has gone, to who listens only then', async () => {
    const channels = new Channels('', () => {});
    try {
      const [ours, theirs] = native().socketpair();
      const channel = channels.open(ours);
      writeSync(theirs, 'one');
      writeSync(theirs, 'two');
      native().closeFd(theirs);
      // It answers after what came before.
      await channels.answers();
      const messages: string[] = [];
      channel.onMessage((data) => messages.push(data.toString()));
      const reason = await new Promise<string>((resolve) => channel.onClose(resolve));
      assert.deepEqual(messages, ['one', 'two']);
      assert.equal(typeof reason, 'string');
    } finally {
      channels.close();
    }
  });
});

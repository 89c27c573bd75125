import assert from 'node:assert/strict';
import { writeSync } from 'node:fs';
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
});

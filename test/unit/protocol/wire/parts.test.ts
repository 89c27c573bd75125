import assert from 'node:assert/strict';
import { encodeMessage, type Message } from '../../../../protocol/wire/messages.js';
import { encodeParts, MAX_MESSAGE, MessageReader } from '../../../../protocol/wire/parts.js';

/** kMaxPacket in native/src/connect/wire.h. */
const MAX_PACKET = 64 * 1024;

const request = (size: number): Message => ({ type: 'request', id: 7, name: 'x', params: 'y'.repeat(size) });
const part = (last: boolean, size = 1) => encodeMessage({ type: 'part', last, data: Buffer.alloc(size) });

describe('messages of the agent that are longer than a packet', () => {
  it('arrive as they were sent, in packets that pass', () => {
    const reader = new MessageReader();
    for (const size of [0, 1000, 48 * 1024, 64 * 1024, 5_000_000]) {
      const packets = encodeParts(request(size));
      assert.ok(packets.every(({ length }) => length <= MAX_PACKET));
      const read = packets.map((packet) => reader.read(packet));
      assert.deepEqual(
        read.slice(0, -1).filter((one) => one !== undefined),
        [],
      );
      assert.deepEqual(read.at(-1)?.message, request(size));
      assert.ok((read.at(-1)?.bytes ?? 0) >= size);
    }
    assert.throws(() => encodeParts(request(MAX_MESSAGE)), /8388608 are allowed/);
  });

  it('are refused where they have no end, or are no message', () => {
    const many = new MessageReader();
    assert.throws(() => {
      for (let count = 0; count < 10_000; count++) many.read(part(false));
    }, /more than 8388608 bytes/);
    const large = new MessageReader();
    assert.throws(() => {
      for (let count = 0; count < 10_000; count++) large.read(part(false, 60_000));
    }, /more than 8388608 bytes/);
    assert.throws(() => new MessageReader().read(part(true, 100)), /invalid message|unknown/);
    const within = new MessageReader();
    within.read(part(false));
    assert.throws(() => within.read(encodeMessage({ type: 'ping' })), /between the parts/);
    const nested = encodeMessage({ type: 'part', last: true, data: part(true) });
    assert.throws(() => new MessageReader().read(nested), /a part within a part/);
  });
});

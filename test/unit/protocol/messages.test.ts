import assert from 'node:assert/strict';
import { pack } from 'msgpackr';
import {
  decodeMessage,
  decodeTarget,
  encodeMessage,
  encodeTarget,
  PROTOCOL_VERSION,
  ProtocolError,
} from '../../../protocol/wire/messages.js';
import { randomBytes } from '../native/engine-packets.js';

describe('messages between parent and agent', () => {
  it('come out as they went in', () => {
    const hello = { type: 'hello', version: PROTOCOL_VERSION, pid: 4711 } as const;
    assert.deepEqual(decodeMessage(encodeMessage(hello)), hello);
    const log = { type: 'log', level: 'warn', text: 'ö' } as const;
    assert.deepEqual(decodeMessage(encodeMessage(log)), log);
  });

  it('are maps, and targets are arrays, by which the engine distinguishes them', () => {
    const target = {
      proto: 'udp',
      ip: '',
      parentIP: '127.0.0.2',
      hostGatewayIP: '192.0.2.1',
      source: 'keep',
      container: 'c0ffee',
    } as const;
    const data = encodeTarget(target);
    assert.equal((data[0] ?? 0) & 0xf0, 0x90);
    assert.deepEqual(decodeTarget(data), target);
    assert.equal((encodeMessage({ type: 'hello', version: 1, pid: 1 })[0] ?? 0) & 0xf0, 0x80);
  });

  it('that are torn, of another type or form are refused', () => {
    const whole = encodeMessage({ type: 'hello', version: 1, pid: 1 });
    const wrong = [
      whole.subarray(0, whole.length - 3),
      Buffer.alloc(0),
      pack({ type: 'reboot' }),
      pack({ type: 'hello', version: 'one', pid: 1 }),
      pack(7),
      pack(null),
    ];
    for (const data of wrong) assert.throws(() => decodeMessage(data), ProtocolError);
    for (const value of [
      ['tcp', '', '', '', 'keep'],
      ['sctp', '', '', '', 'keep', ''],
      ['tcp', 80, '', '', 'keep', ''],
      ['tcp', '', 80, '', '', 'keep', ''],
      {},
    ]) {
      assert.throws(() => decodeTarget(pack(value)), ProtocolError);
    }
  });

  it('that are noise are refused, and with nothing but a ProtocolError', () => {
    const random = randomBytes(3);
    for (let i = 0; i < 5000; i++) {
      const packet = random(i % 80);
      for (const decode of [decodeMessage, decodeTarget]) {
        try {
          decode(packet);
        } catch (error) {
          assert.ok(error instanceof ProtocolError, `${packet.toString('hex')}: ${error}`);
          assert.doesNotMatch(error.message, /\n/);
        }
      }
    }
  });
});

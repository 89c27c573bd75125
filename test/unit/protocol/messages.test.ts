import assert from 'node:assert/strict';
import { pack } from 'msgpackr';
import {
  decodeMessage,
  decodeTarget,
  encodeMessage,
  encodeTarget,
  PROTOCOL_VERSION,
  ProtocolError,
} from '../../protocol/messages.js';

describe('messages between parent and agent', () => {
  it('come out as they went in', () => {
    const hello = { type: 'hello', version: PROTOCOL_VERSION, pid: 4711 } as const;
    assert.deepEqual(decodeMessage(encodeMessage(hello)), hello);
    const log = { type: 'log', level: 'warn', text: 'ö' } as const;
    assert.deepEqual(decodeMessage(encodeMessage(log)), log);
  });

  it('are maps, and targets are arrays, which is how the engine tells them apart', () => {
    const target = {
      proto: 'udp',
      ip: '',
      port: 53,
      parentIP: '127.0.0.2',
      hostGatewayIP: '192.0.2.1',
      source: 'keep',
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
    for (const value of [['tcp', '', 80, ''], ['sctp', '', 80, '', ''], ['tcp', '', '80', '', ''], {}]) {
      assert.throws(() => decodeTarget(pack(value)), ProtocolError);
    }
  });
});

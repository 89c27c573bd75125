import assert from 'node:assert/strict';
import { decodeArgument, encodeArguments } from '../../../protocol/text/argument-bytes.js';

describe('the bytes of arguments', () => {
  const cases: [name: string, bytes: number[], text: string][] = [
    ['none', [], ''],
    ['ASCII', [0x61, 0x2d], 'a-'],
    ['characters of all lengths', [0xc3, 0xa9, 0xe2, 0x98, 0x83, 0xf0, 0x9f, 0x98, 0x80], 'é☃😀'],
    ['Latin-1', [0x63, 0xe9, 0x61], 'c\udce9a'],
    ['half a character', [0xe2, 0x98], '\udce2\udc98'],
    ['half a character before another', [0xf0, 0x9f, 0xc3, 0xa9], '\udcf0\udc9fé'],
    ['a surrogate', [0xed, 0xb2, 0x80], '\udced\udcb2\udc80'],
    ['an overlong form', [0xc0, 0xaf], '\udcc0\udcaf'],
    ['what no character has', [0xff, 0xfe, 0x80], '\udcff\udcfe\udc80'],
  ];
  for (const [name, bytes, text] of cases) {
    it(`become a string and the same bytes again: ${name}`, () => {
      assert.equal(decodeArgument(Uint8Array.from(bytes)), text);
      assert.deepEqual([...encodeArguments([text, 'b'])], [...bytes, 0, 0x62, 0]);
    });
  }
});

import assert from 'node:assert/strict';
import { RouteSocket } from '../../../child/netlink/route.js';
import { attribute, attributes, text, u32 } from '../../../native/netlink.js';

describe('attributes of netlink messages', () => {
  it('have a length, a type and a value, and end at a multiple of four bytes', () => {
    for (const [value, hex] of [
      ['eth0', '090003006574683000000000'],
      ['lo', '070003006c6f0000'],
      [0x01020304, '0800030004030201'],
      [-1, '08000300ffffffff'],
      [Buffer.from([1]), '0500030001000000'],
      [Buffer.alloc(0), '04000300'],
    ] as const) {
      assert.equal(attribute(3, value).toString('hex'), hex, String(value));
    }
    assert.equal(u32(0xffffffff).toString('hex'), 'ffffffff');
  });

  it('are read as they were written, nested ones as well, and the last of one type', () => {
    const nested = 0x8000;
    const data = Buffer.concat([
      attribute(1, 'first'),
      attribute(2 | nested, Buffer.concat([attribute(7, 70), attribute(8, Buffer.from([1, 2, 3]))])),
      attribute(1, 'second'),
    ]);
    const found = attributes(data);
    assert.deepEqual([...found.keys()].sort(), [1, 2]);
    assert.equal(text(found.get(1)), 'second');
    const inner = attributes(found.get(2) ?? Buffer.alloc(0));
    assert.deepEqual([inner.get(7)?.readUInt32LE(0), inner.get(8)?.toString('hex')], [70, '010203']);
    assert.equal(text(found.get(9)), '');
  });

  it('are read up to what is torn', () => {
    const whole = attribute(1, 'abc');
    for (const [tail, what] of [
      [Buffer.from([3]), 'less than a header'],
      [Buffer.from([0, 0, 5, 0]), 'a length of nothing'],
      [Buffer.from([3, 0, 5, 0]), 'a length less than its header'],
      [Buffer.from([9, 0, 5, 0, 1, 2, 3, 4]), 'a length beyond the end'],
    ] as const) {
      assert.deepEqual([...attributes(Buffer.concat([whole, tail])).keys()], [1], what);
    }
  });
});

describe("the devices of this process's namespace", () => {
  it('are listed, loopback among them, without a right to change anything', () => {
    using socket = new RouteSocket();
    const lo = socket.link('lo');
    assert.deepEqual([lo?.index, lo?.kind, lo?.master, lo?.mac], [1, '', 0, '00:00:00:00:00:00']);
    assert.equal(socket.link('no-such-device'), undefined);
  });

  it('are not those of a namespace that is not there', () => {
    assert.throws(() => new RouteSocket('/no/such/netns'), /ENOENT|no such file/i);
    assert.throws(() => new RouteSocket('/dev/null'), /EINVAL|invalid/i);
  });
});

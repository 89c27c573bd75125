import assert from 'node:assert/strict';
import { candidates, claimAddress } from '../../../../parent/port/auto/address-claim.js';
import { parseAutoAddresses } from '../../../../parent/port/auto/addresses.js';

const everything = parseAutoAddresses('127.0.0.0/8');

describe('addresses for -p auto', () => {
  it('follow from the name, and are not those that programs of the host use', () => {
    const [first] = candidates(everything, 'web');
    assert.equal([...candidates(everything, 'web')][0], first);
    assert.notEqual([...candidates(everything, 'db')][0], first);
    for (let index = 0; index < 2000; index++) {
      const [ip = ''] = candidates(everything, `${index}`);
      assert.match(ip, /^127\.(?!0\.0\.)\d+\.\d+\.(?!0$|255$)\d+$/);
    }
  });

  it('are the next one while one is claimed, and the same again afterwards', async () => {
    const network = parseAutoAddresses('127.77.0.0/16');
    const first = await claimAddress(network, 'test of claims');
    const second = await claimAddress(network, 'test of claims');
    assert.notEqual(second.ip, first.ip);
    first[Symbol.dispose]();
    const again = await claimAddress(network, 'test of claims');
    assert.equal(again.ip, first.ip);
    again[Symbol.dispose]();
    second[Symbol.dispose]();
  });

  it('run out with a message that has a hint', async () => {
    const one = parseAutoAddresses('127.78.0.9');
    using claim = await claimAddress(one, 'x');
    assert.equal(claim.ip, '127.78.0.9');
    await assert.rejects(claimAddress(one, 'y'), { message: 'no address of 127.78.0.9/32 is free for -p auto' });
  });

  it('are loopback addresses', () => {
    for (const text of ['10.0.0.0/8', '0.0.0.0/0', '127.0.0.0/7', '::1/128', 'x', '127.0.0.1/33']) {
      assert.throws(() => parseAutoAddresses(text), { message: /^invalid --auto-address / }, text);
    }
  });
});

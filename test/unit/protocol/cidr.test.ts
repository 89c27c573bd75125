import assert from 'node:assert/strict';
import { addressOf, cidrContains, defaultRouteOf } from '../../../protocol/net/cidr.js';
import { familyOf, firstOfEachFamily } from '../../../protocol/net/ip.js';

describe('CIDR notation', () => {
  it('contains an address, which may have no prefix length', () => {
    assert.equal(addressOf('10.4.0.2/24'), '10.4.0.2');
    assert.equal(addressOf('fd00::2/64'), 'fd00::2');
    assert.equal(addressOf('10.4.0.2'), '10.4.0.2');
  });

  it('has a family, with a default route', () => {
    assert.deepEqual([familyOf('10.4.0.0/24'), familyOf('fd00::1')], [4, 6]);
    assert.deepEqual([defaultRouteOf('10.4.0.1'), defaultRouteOf('fd00::/64')], ['0.0.0.0/0', '::/0']);
  });

  it('contains no addresses if it is invalid', () => {
    assert.equal(cidrContains('10.4.0.0', '10.4.0.0'), false);
    assert.equal(cidrContains('nonsense', '10.4.0.0'), false);
  });
});

describe('addresses of both families', () => {
  it('are reduced to the first of each, IPv4 first', () => {
    assert.deepEqual(firstOfEachFamily(['fd00::1', '10.4.0.2', 'fd00::2', '10.4.0.3']), ['10.4.0.2', 'fd00::1']);
    assert.deepEqual(firstOfEachFamily(['fd00::1']), ['fd00::1']);
    assert.deepEqual(firstOfEachFamily([]), []);
  });
});

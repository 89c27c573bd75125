import assert from 'node:assert/strict';
import { NetworkError } from '../../../../parent/errors.js';
import { userModeAddresses } from '../../../../parent/network/drivers/addresses.js';

describe('addresses of a user-mode network', () => {
  it('are counted from the start of the network', () => {
    assert.deepEqual(userModeAddresses('10.0.2.0/24'), {
      child: '10.0.2.100',
      gateway: '10.0.2.2',
      dns: '10.0.2.3',
      prefix: 24,
    });
    assert.deepEqual(userModeAddresses('192.168.7.128/25'), {
      child: '192.168.7.228',
      gateway: '192.168.7.130',
      dns: '192.168.7.131',
      prefix: 25,
    });
    assert.equal(userModeAddresses('10.0.0.0/8').child, '10.0.0.100');
  });

  it('need an IPv4 network that has room for them', () => {
    for (const cidr of ['', '10.0.2.0', '10.0.2.1/24', '10.0.2.0/26', '10.0.2.0/33', '10.0.2.0/-1', '10.0.2/24']) {
      assert.throws(() => userModeAddresses(cidr), NetworkError, cidr);
    }
    for (const cidr of ['fd00::/64', '::ffff:10.0.2.0/120', '10.0.2.0/24x', ' 10.0.2.0/24', '256.0.2.0/24']) {
      assert.throws(() => userModeAddresses(cidr), NetworkError, cidr);
    }
  });

  it('need a network of hosts', () => {
    for (const cidr of ['127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/24', '240.0.0.0/24', '0.0.0.0/8']) {
      assert.throws(() => userModeAddresses(cidr), new RegExp(`invalid --cidr "${cidr}": reserved for .*hint: choose`));
    }
  });

  it('name the intended network, if it is known', () => {
    assert.throws(() => userModeAddresses('10.0.2.77/24'), /10\.0\.2\.77\/24.*10\.0\.2\.0\/24/);
  });
});

import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { hostGatewayIP } from '../../../../parent/network/host/gateway.js';
import { inboundAddresses, targetOf } from '../../../../parent/port/target.js';
import { dialPlan } from '../../../../protocol/ports/dial-rule.js';
import type { PortMapping } from '../../../../protocol/ports/port-mapping.js';
import type { ConnectTarget } from '../../../../protocol/wire/messages.js';

function plan(target: Partial<ConnectTarget>, ...local: string[]): string[] {
  const full: ConnectTarget = {
    proto: 'tcp',
    ip: '',
    parentIP: '',
    hostGatewayIP: '192.0.2.1',
    source: 'keep',
    container: '',
    ...target,
  };
  return dialPlan(full, (ip) => local.includes(ip));
}

const mapping = (hostIP: string, targetIP = ''): PortMapping => ({
  transport: 'tcp',
  host: { ip: hostIP, port: 8080 },
  target: { ip: targetIP, port: 80 },
  count: 1,
});

describe('the dial rule', () => {
  it('goes to ChildIP alone if it is given', () => {
    assert.deepEqual(plan({ ip: '10.4.0.7', parentIP: '127.0.0.2' }), ['10.4.0.7']);
    assert.deepEqual(plan({ ip: '::2' }), ['::2']);
  });

  it('goes to loopback from every address of the host, in the family that was asked first', () => {
    for (const parentIP of ['', '0.0.0.0']) assert.deepEqual(plan({ parentIP }), ['127.0.0.1', '::1']);
    for (const parentIP of ['::', '0:0::0']) assert.deepEqual(plan({ parentIP }), ['::1', '127.0.0.1']);
  });

  it('goes to the very loopback address that was published, then to the usual ones', () => {
    assert.deepEqual(plan({ parentIP: '127.0.0.2' }), ['127.0.0.2', '127.0.0.1', '::1']);
    assert.deepEqual(plan({ parentIP: '127.0.0.1' }), ['127.0.0.1', '::1']);
    assert.deepEqual(plan({ parentIP: '::1' }), ['::1', '127.0.0.1']);
    assert.deepEqual(plan({ parentIP: '::ffff:127.0.0.2' }), ['127.0.0.2', '127.0.0.1', '::1']);
  });

  it('never leaves the namespace for an address of the host that the child does not have', () => {
    assert.deepEqual(plan({ parentIP: '192.0.2.1' }), ['127.0.0.1', '::1']);
    assert.deepEqual(plan({ parentIP: '192.0.2.2' }), ['127.0.0.1', '::1']);
    assert.deepEqual(plan({ parentIP: '2001:db8::2' }), ['::1', '127.0.0.1']);
  });

  it('tries an address that the child has as well', () => {
    assert.deepEqual(plan({ parentIP: '192.0.2.2' }, '192.0.2.2'), ['192.0.2.2', '127.0.0.1', '::1']);
    assert.deepEqual(plan({ parentIP: '192.0.2.1' }, '192.0.2.1'), ['127.0.0.1', '::1'], 'but not the gateway address');
  });

  it('has what it needs of the host: its address, if that could be the one that was published', () => {
    const own = Object.values(networkInterfaces()).flatMap((list) => list?.map(({ address }) => address) ?? []);
    const usual = ['', '0.0.0.0', '::', '127.0.0.1', '127.0.0.2', '::1', '::ffff:127.0.0.2'];
    for (const parentIP of [...usual, '192.0.2.2', '2001:db8::2', ...own.filter((ip) => !ip.startsWith('fe80'))]) {
      for (const childIP of [undefined, '10.4.0.7']) {
        const target = targetOf(mapping(parentIP, childIP), 'keep');
        const withGateway = { ...target, hostGatewayIP: hostGatewayIP() };
        for (const local of [true, false]) {
          assert.deepEqual(
            dialPlan(target, () => local),
            dialPlan(withGateway, () => local),
            `${parentIP} ${childIP}`,
          );
        }
      }
    }
    assert.equal(targetOf(mapping('192.0.2.2'), 'keep').hostGatewayIP, hostGatewayIP());
  });

  it('is known to the parent where only the child’s own addresses are not, and servers see clients', () => {
    const inbound = (host: string, target = '', container = '', source: ConnectTarget['source'] = 'keep') =>
      inboundAddresses(targetOf(mapping(host, target), source, container));
    assert.deepEqual(inbound(''), ['127.0.0.1', '::1']);
    assert.deepEqual(inbound('192.0.2.77'), ['192.0.2.77', '127.0.0.1', '::1']);
    assert.deepEqual(inbound('', '10.0.2.100'), ['10.0.2.100']);
    assert.deepEqual(inbound('', '', 'c0ffee'), []);
    assert.deepEqual(inbound('', '', '', 'hide'), []);
  });
});

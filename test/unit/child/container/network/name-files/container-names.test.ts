import assert from 'node:assert/strict';
import { ContainerNames } from '../../../../../../child/container/network/name-files/container-names.js';
import type { ContainerRecord } from '../../../../../../child/container/storage/container-store.js';
import { reverseName } from '../../../../../../child/dns/message.js';

describe('names for the DNS servers of networks', () => {
  const web = {
    id: 'a'.repeat(64),
    name: 'web',
    hostname: 'box',
    domainname: 'example.test',
    netns: '/proc/7/ns/net',
    networks: [
      { name: 'back', ips: ['10.4.1.2'], aliases: ['www'] },
      { name: 'front', ips: ['10.4.2.2'], aliases: [] },
    ],
  };
  const source = new ContainerNames({ attached: () => [web] }, { all: () => [], get: () => undefined });

  it('are those of a container on that network, its own first', () => {
    const names = ['web', 'box', 'box.example.test', 'www', 'a'.repeat(12)];
    assert.deepEqual(source.entriesOf('back'), [
      { names, addresses: ['10.4.1.2'], holder: 'container web', container: web.id },
    ]);
    assert.deepEqual(source.entriesOf('other'), []);
  });

  it('are reserved for a container that does not run, its domain name included', () => {
    const network = { mode: 'networks', networks: [{ network: 'back', aliases: ['www'] }] };
    const stopped = { id: web.id, name: 'web', hostname: 'box', request: { domainname: 'example.test', network } };
    const store = { all: () => [stopped as unknown as ContainerRecord], get: () => undefined };
    const names = ['web', 'box', 'box.example.test', 'www', 'a'.repeat(12)];
    const holder = 'container web, which does not run';
    const reserved = new ContainerNames({ attached: () => [] }, store);
    assert.deepEqual(reserved.entriesOf('back'), [{ names, addresses: [], holder }]);
  });

  it('may be asked by a container from each of its addresses, on all of its networks', () => {
    const client = { networks: ['back', 'front'], servers: [], netns: '/proc/7/ns/net', search: [] };
    assert.deepEqual(source.clients(), [
      { address: '10.4.1.2', ...client },
      { address: '10.4.2.2', ...client },
    ]);
  });

  it('of addresses are asked for as their reverse', () => {
    assert.equal(reverseName('10.4.0.2'), '2.0.4.10.in-addr.arpa');
    assert.equal(reverseName('fd00::2'), `2.${'0.'.repeat(28)}0.d.f.ip6.arpa`);
    assert.equal(reverseName('web'), 'web');
  });
});

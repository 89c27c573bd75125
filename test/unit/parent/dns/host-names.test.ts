import assert from 'node:assert/strict';
import { publishedNames } from '../../../../parent/containers/report-schemas.js';
import { hostZone } from '../../../../parent/dns/host-names.js';
import { ownHostsLine, ownZone } from '../../../../parent/dns/own-names.js';
import { publishedAddresses } from '../../../../parent/dns/published-addresses.js';
import { formatNameListener, parseNameListener } from '../../../../protocol/dns/name-listener.js';
import { parsePortSpec } from '../../../../protocol/ports/grammar.js';

describe('names for the host', () => {
  const linesOf = (text: string) => text.trim().split('\n');

  it('are asked for at an address and port, on loopback unless given', () => {
    assert.deepEqual(parseNameListener('5353'), { ip: '127.0.0.1', port: 5353 });
    assert.deepEqual(parseNameListener('[::1]:53'), { ip: '::1', port: 53 });
    assert.equal(formatNameListener(parseNameListener('[0::1]:0')), '[::1]:0');
    for (const text of [
      '',
      ':5353',
      '0.0.0.0:5353',
      '[::]:5353',
      'localhost:5353',
      '1:2:3',
      '127.0.0.1:65536',
      '5353/udp',
    ]) {
      assert.throws(() => parseNameListener(text), { name: 'NameListenerError', code: 'invalid-port' }, text);
    }
  });

  it('have the addresses at which ports are reached', () => {
    const at = (...specs: string[]) => publishedAddresses(specs.map(parsePortSpec));
    assert.deepEqual(at(), []);
    assert.deepEqual(at('80:80', '127.0.0.8:81:81', '127.0.0.8:82:82'), ['127.0.0.8', '::1']);
    assert.deepEqual(at('80:80'), ['127.0.0.1', '::1']);
    assert.deepEqual(at('0.0.0.0:80:80/tcp4'), ['127.0.0.1']);
    assert.deepEqual(at('[::1]:80:80', '80:80/tcp6'), ['::1']);
    assert.equal(
      publishedAddresses(Array.from({ length: 99 }, (_, i) => parsePortSpec(`127.0.1.${i}:80:80`))).length,
      32,
    );
  });

  it('are those of stacks, and of containers where they are published', () => {
    const network = {
      network: 'back',
      subnets: ['10.4.0.0/24'],
      entries: [
        { names: ['web', 'www'], addresses: ['10.4.0.2'], container: 'a' },
        { names: ['db'], addresses: ['10.4.0.3'], container: 'b' },
        { names: ['far'], addresses: ['10.5.0.3'], container: '' },
      ],
    };
    const zone = hostZone({
      stacks: [{}, { name: 'Shop', addresses: ['127.0.0.8'] }, { name: 'idle' }],
      containers: { networks: [network] },
      publishedBy: (id) => (id === 'a' ? ['127.0.0.7'] : []),
    });
    assert.deepEqual(linesOf(zone), [
      'only',
      'subnet 10.4.0.0/24',
      'reverse 10.4.0.2 web.back.rootless.internal',
      'reverse 10.4.0.3 db.back.rootless.internal',
      'reverse 10.5.0.3 far.back.rootless.internal',
      'domain shop 127.0.0.8',
      'domain web 127.0.0.7',
      'domain www 127.0.0.7',
      'domain web.back 10.4.0.2',
      'domain www.back 10.4.0.2',
      'domain db 10.4.0.3',
      'domain db.back 10.4.0.3',
      'domain far 10.5.0.3',
      'domain far.back 10.5.0.3',
    ]);
  });

  it('never lead to the host itself by what an agent reports', () => {
    const own = ['127.0.0.1', '::1', '::ffff:127.0.0.1', '0.0.0.0', '::', '169.254.169.254', 'fe80::1', '224.0.0.1'];
    const entries = [{ names: ['evil'], addresses: own, container: '' }];
    const containers = { networks: [{ network: 'back', subnets: [], entries }] };
    const zone = hostZone({ stacks: [], containers, publishedBy: () => [] });
    assert.deepEqual(linesOf(zone), ['only', 'domain evil', 'domain evil.back']);
  });

  it('are refused where an agent reports anything else', () => {
    const report = (change: object) => ({
      networks: [
        {
          network: 'back',
          subnets: [],
          entries: [{ names: ['a'], addresses: ['10.4.0.2'], container: '', ...change }],
        },
      ],
    });
    assert.ok(publishedNames.safeParse(report({})).success);
    const long = Array.from({ length: 20_001 }, (_, i) => `n${i}`);
    for (const change of [
      { names: ['a b'] },
      { names: ['a\nonly'] },
      { names: long },
      { addresses: ['x'] },
      { addresses: [] },
    ]) {
      assert.ok(!publishedNames.safeParse(report(change)).success, JSON.stringify(change).slice(0, 80));
    }
  });

  it('are known inside, too', () => {
    assert.equal(ownHostsLine('web'), '127.0.0.1 web.rootless.internal\n');
    assert.equal(ownHostsLine(undefined), '');
    const network = { driver: 'builtin', gateway: '10.0.2.2', prefix: 24 };
    const names = 'host.containers.internal host.docker.internal host.rootless.internal'.split(' ');
    assert.deepEqual(linesOf(ownZone(network, { hostLoopback: true }, 'web')).toSorted(), [
      'domain web 127.0.0.1',
      ...names.map((name) => `exact ${name} 10.0.2.2`),
      'outside',
      'reverse 10.0.2.2 host.rootless.internal',
      'subnet 10.0.2.2/24',
    ]);
    assert.ok(linesOf(ownZone(network, { hostLoopback: false }, undefined)).includes('exact host.docker.internal'));
  });
});

import assert from 'node:assert/strict';
import { programPath, run, tempDir } from '../../support/index.js';
import { type KernelFeature, without } from '../../support/kernel.js';

/** What test/programs/gateway-run.ts prints. */
interface Report {
  error?: string;
  tcp4: Stream;
  tcp6: Stream;
  udp4: Datagram;
  udp6: Datagram;
  passed: string[];
  child: string;
  gateway: string;
  index: [string, number];
}

interface Stream {
  destination: [string, number];
  source: string;
  received: string;
  answer: string;
}

interface Datagram {
  destination: [string, number];
  source: string;
  data: string;
}

async function gatewayRun(...words: string[]): Promise<Report> {
  return gatewayRunLacking([], ...words);
}

/** As on a kernel without these. */
async function gatewayRunLacking(features: KernelFeature[], ...words: string[]): Promise<Report> {
  const command = [process.execPath, programPath('gateway-run'), ...words];
  const [program = '', ...rest] = features.length === 0 ? command : [...without(features), ...command];
  const { code, stdout, stderr } = await run(program, rest);
  assert.deepEqual([code, stderr], [0, '']);
  return JSON.parse(stdout) as Report;
}

for (const detached of [false, true]) {
  describe(`a gateway namespace of ${detached ? 'a detached network namespace' : 'the network namespace'}`, () => {
    let report: Report;
    before(async () => {
      report = await gatewayRun('eth0', ...(detached ? [tempDir()] : []));
    });

    it('has TCP connections whose SYN was held, with their original destinations', () => {
      const expected = { received: 'from inside', answer: 'from outside' };
      assert.deepEqual(report.tcp4, { destination: ['198.51.100.7', 80], source: '10.0.2.100', ...expected });
      assert.deepEqual(report.tcp6, { destination: ['2001:db8::7', 80], source: 'fd00::100', ...expected });
    });

    it('has datagrams with their original destinations', () => {
      assert.deepEqual(report.udp4, { destination: ['198.51.100.7', 53], source: '10.0.2.100', data: 'datagram' });
      assert.deepEqual(report.udp6, { destination: ['2001:db8::7', 53], source: 'fd00::100', data: 'datagram' });
    });

    it('passes as packets only what begins a TCP connection, and echo requests', () => {
      assert.deepEqual(report.passed, [
        'SYN',
        'SYN with options of IP',
        'SYN with ECN',
        'echo request',
        'SYN over IPv6',
        'echo request over IPv6',
        'end',
      ]);
    });

    it('is connected by devices that are ready at once, and know each other', () => {
      assert.match(report.child, /eth0@.* mtu 65520 .*\n.*52:55:0a:00:02:64/);
      assert.doesNotMatch(report.child, /tentative|inet6 fe80/);
      for (const line of [
        'inet 10.0.2.100/24 brd 10.0.2.255 scope global eth0',
        'inet6 fd00::100/64 scope global nodad',
        '10.0.2.2 dev eth0 lladdr 52:55:0a:00:02:02 PERMANENT',
        '10.0.2.3 dev eth0 lladdr 52:55:0a:00:02:02 PERMANENT',
        'fd00::2 dev eth0 lladdr 52:55:0a:00:02:02 PERMANENT',
        'fd00::3 dev eth0 lladdr 52:55:0a:00:02:02 PERMANENT',
        'default via 10.0.2.2 dev eth0',
        'default via fd00::2 dev eth0',
      ]) {
        assert.ok(report.child.includes(line), `${line} in:\n${report.child}`);
      }
      assert.match(report.gateway, /gw0@.* mtu 65520 .*\n.*52:55:0a:00:02:02/);
      assert.doesNotMatch(report.gateway, /tentative|inet6 fe80/);
      assert.deepEqual(report.index, ['gw0', 1000]);
    });

    it('leads everything from the child to itself, by the rules that are documented', () => {
      assert.match(report.gateway, /from all iif gw0 lookup 100\n.*from all fwmark 0x524e lookup 100\n/);
      const rules = report.gateway.split('\n').map((line) => line.trim());
      assert.deepEqual(rules.slice(rules.findIndex((line) => line.startsWith('type filter')) + 1, -3), [
        'iif "gw0" tcp flags syn / fin,syn,rst,ack drop',
        'meta mark 0x0000524e meta l4proto tcp tproxy to :1 accept',
        'iif "gw0" meta l4proto udp tproxy to :1 accept',
        'iif "gw0" meta l4proto tcp accept',
        'iif "gw0" icmp type echo-request drop',
        'iif "gw0" icmpv6 type echo-request drop',
        'iif "gw0" meta l4proto icmp accept',
        'iif "gw0" meta l4proto ipv6-icmp accept',
        'iif "gw0" drop',
      ]);
    });
  });
}

describe('a gateway namespace where new devices have no IPv6', () => {
  it('has it all the same', async () => {
    const { tcp6, child } = await gatewayRun('eth0', 'no-ipv6');
    assert.deepEqual(tcp6.destination, ['2001:db8::7', 80]);
    assert(child.includes('inet6 fd00::100/64 scope global nodad'), child);
  });
});

describe('a gateway namespace without TPROXY', () => {
  let report: Report;
  before(async () => {
    report = await gatewayRunLacking(['tproxy'], 'eth0');
  });

  it('has connections and datagrams with their original destinations', () => {
    const expected = { received: 'from inside', answer: 'from outside' };
    assert.deepEqual(report.tcp4, { destination: ['198.51.100.7', 80], source: '10.0.2.100', ...expected });
    assert.deepEqual(report.tcp6, { destination: ['2001:db8::7', 80], source: 'fd00::100', ...expected });
    assert.deepEqual(report.udp4, { destination: ['198.51.100.7', 53], source: '10.0.2.100', data: 'datagram' });
    assert.deepEqual(report.udp6, { destination: ['2001:db8::7', 53], source: 'fd00::100', data: 'datagram' });
    assert.equal(report.passed.at(-1), 'end');
  });

  it('changes ports by the rules that are documented', () => {
    const rules = report.gateway.split('\n').map((line) => line.trim());
    assert.deepEqual(rules.slice(rules.indexOf('chain ports {'), -3), [
      'chain ports {',
      'type filter hook prerouting priority raw; policy accept;',
      'iif "gw0" udp checksum 0 meta mark set udp dport udp dport set 1 accept',
      'iif "gw0" meta mark set udp dport udp dport set 1 accept',
      '}',
      '',
      'chain connections {',
      'type nat hook prerouting priority dstnat; policy accept;',
      'meta mark 0x0000524e meta l4proto tcp dnat to :1',
    ]);
  });
});

describe('a gateway namespace that cannot be made', () => {
  it('is an error that names the step', async () => {
    const { error } = await gatewayRun('lo');
    assert.match(error ?? '', /make a veth pair: .*exists/i);
  });
});

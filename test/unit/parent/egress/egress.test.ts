import assert from 'node:assert/strict';
import { DenialLog, denialOf } from '../../../../parent/egress/denials.js';
import { Egress } from '../../../../parent/egress/egress.js';
import { encodePolicy } from '../../../../protocol/egress/encode.js';
import { parseRule } from '../../../../protocol/egress/grammar.js';

const allow = (text: string) => parseRule('allow', text, 'test');
const deny = (text: string) => parseRule('deny', text, 'test');

/** A gateway that remembers the policies that it was given. */
function makeGateway() {
  const policies: number[] = [];
  return {
    policies,
    setEgress: (policy: Uint8Array) => {
      policies.push(policy.length);
      return true;
    },
    egressCounters: () => Array(10).fill({ allowed: 1, denied: 2, names: 3 }),
  };
}

/** A host that does not report changes. */
const hostWith = (addresses: () => string[]) => ({ addresses, watch: () => {} });

describe('the egress policy of a stack', () => {
  it('is none, and allows everything, without rules', () => {
    const gateway = makeGateway();
    assert.deepEqual(
      new Egress(
        gateway,
        [],
        hostWith(() => []),
      ).report(),
      {
        default: 'allow',
        counters: { allowed: 0, denied: 0, names: 0 },
        rules: [],
      },
    );
    assert.deepEqual(gateway.policies, []);
  });

  it('changes by rules that are added and removed', () => {
    const gateway = makeGateway();
    const egress = new Egress(
      gateway,
      [allow('a.test')],
      hostWith(() => ['192.0.2.1']),
    );
    const rules = () => egress.report().rules.map(({ rule }) => rule);
    egress.add([allow('A.test.'), deny('10.0.0.0/8')]);
    assert.deepEqual(rules(), ['allow a.test', 'deny 10.0.0.0/8']);
    assert.equal(egress.ruleText(1), 'deny 10.0.0.0/8');
    egress.remove([deny('10.0.0.0/8')]);
    assert.deepEqual(rules(), ['allow a.test']);
    assert.equal(gateway.policies.length, 3);
  });

  it('follows the addresses of the host, and keeps its counters where these have not changed', () => {
    const gateway = makeGateway();
    let addresses = ['192.0.2.1'];
    const egress = new Egress(
      gateway,
      [allow('a.test')],
      hostWith(() => addresses),
    );
    egress.refresh();
    assert.equal(gateway.policies.length, 1);
    addresses = ['192.0.2.1', '192.0.2.2'];
    egress.refresh();
    assert.equal(gateway.policies.length, 2);
    const none = makeGateway();
    new Egress(
      none,
      [],
      hostWith(() => addresses),
    ).refresh();
    assert.deepEqual(none.policies, []);
  });

  it('watches the addresses of the host from its first rule on, once', () => {
    let watches = 0;
    const host = { addresses: () => [], watch: () => watches++ };
    const egress = new Egress(makeGateway(), [], host);
    assert.equal(watches, 0);
    egress.add([allow('a.test')]);
    egress.add([allow('b.test')]);
    assert.equal(watches, 1);
  });

  it('removes all rules or none', () => {
    const egress = new Egress(
      makeGateway(),
      [allow('a.test'), allow('b.test')],
      hostWith(() => []),
    );
    assert.throws(() => egress.remove([allow('a.test'), allow('c.test')]), {
      message: 'there is no rule "allow c.test"',
      httpStatus: 404,
    });
    assert.equal(egress.report().rules.length, 2);
  });

  it('does not become one that allows everything, unless that is asked for', () => {
    const message =
      'without its last rule that allows, the policy would allow everything; hint: add "allow @none" first, or "allow *"';
    for (const rules of [[allow('a.test')], [allow('a.test'), deny('b.test')]]) {
      const egress = new Egress(
        makeGateway(),
        rules,
        hostWith(() => []),
      );
      assert.throws(() => egress.remove([allow('a.test')]), { message, httpStatus: 400 });
      egress.add([allow('@none')]);
      egress.remove([allow('a.test')]);
      assert.equal(egress.report().default, 'deny');
    }
    const denying = new Egress(
      makeGateway(),
      [deny('a.test')],
      hostWith(() => []),
    );
    denying.remove([deny('a.test')]);
    assert.equal(denying.report().default, 'allow');
  });
});

describe('the egress policy beside overlay networks', () => {
  const peer = { address: '192.168.1.7', port: 51820 };
  const make = (...rules: ReturnType<typeof allow>[]) => {
    const given: Uint8Array[] = [];
    const gateway = { ...makeGateway(), setEgress: (policy: Uint8Array) => given.push(policy) > 0 };
    const egress = new Egress(
      gateway,
      rules,
      hostWith(() => []),
    );
    return { egress, given, last: () => Buffer.from(given.at(-1) ?? []) };
  };

  it('allows the port of each host, once, whatever is changed of the rules', () => {
    const { egress, given, last } = make(allow('a.test'));
    egress.allowPeers([peer, { address: '2001:db8::7', port: 51821 }, peer]);
    const shown = () => egress.report().overlay?.map(({ rule }) => rule);
    assert.deepEqual(shown(), ['allow udp:192.168.1.7:51820', 'allow udp:[2001:db8::7]:51821']);
    assert.equal(
      last().equals(encodePolicy([allow('a.test'), allow('udp:192.168.1.7:51820'), allow('udp:[2001:db8::7]:51821')])),
      true,
    );
    assert.deepEqual(
      egress.report().rules.map(({ rule }) => rule),
      ['allow a.test'],
    );
    assert.equal(egress.ruleText(2), 'allow udp:[2001:db8::7]:51821');
    egress.allowPeers([{ address: '2001:db8::7', port: 51821 }, peer]);
    assert.equal(given.length, 2);
    egress.add([deny('b.test')]);
    assert.equal(shown()?.length, 2);
    assert.throws(() => egress.remove([allow('udp:192.168.1.7:51820')]), /there is no rule/);
    egress.allowPeers([]);
    assert.equal(shown(), undefined);
    assert.equal(last().equals(encodePolicy([allow('a.test'), deny('b.test')])), true);
  });

  it('stays one that allows by default, and is none where there are no rules', () => {
    const denying = make(deny('a.test'));
    denying.egress.allowPeers([peer]);
    assert.equal(denying.egress.report().default, 'allow');
    // The byte of the default.
    assert.equal(denying.last()[1], 0);
    const none = make();
    none.egress.allowPeers([peer]);
    assert.deepEqual([none.given, none.egress.active, none.egress.report().overlay], [[], false, undefined]);
    // They count as soon as there is one.
    none.egress.add([allow('@none')]);
    assert.equal(none.egress.report().overlay?.length, 1);
  });

  it('is not opened for what others announce and no other host can have', () => {
    const { egress } = make(allow('@none'));
    const wrong = [
      ...[
        '127.0.0.1',
        '::1',
        '::ffff:127.0.0.1',
        '169.254.169.254',
        'fe80::1',
        '224.0.0.1',
        'ff02::1',
        '0.0.0.0',
        '::',
      ],
      ...['255.255.255.255', '100.100.100.200', '168.63.129.16', 'fd00:ec2::254', '64:ff9b::a9fe:a9fe', 'nonsense', ''],
    ];
    egress.allowPeers([
      ...wrong.map((address) => ({ address, port: 51820 })),
      ...[53, 123, 443, 1023].map((port) => ({ ...peer, port })),
    ]);
    assert.equal(egress.report().overlay, undefined);
  });
});

describe('the log of what a policy denies', () => {
  const event = {
    type: 'egress-denied' as const,
    protocol: 6,
    rule: -1,
    client: '10.0.2.100:4000',
    destination: '192.0.2.1:80',
    reason: 'no rule allows it',
  };

  it('has each kind once a minute', () => {
    const lines: string[] = [];
    let now = 0;
    const log = new DenialLog(
      (line) => lines.push(line),
      () => now,
    );
    for (now of [0, 1000, 59_000, 61_000]) log.log(denialOf({ ...event, client: `10.0.2.100:${now}` }));
    log.log(denialOf({ ...event, protocol: 0, destination: 'a.test' }, 'deny a.test'));
    const first = 'egress denied: tcp to 192.0.2.1:80: no rule allows it';
    assert.deepEqual(lines, [first, first, 'egress denied: the name a.test: rule "deny a.test"']);
  });

  it('does not remember more than it has to', () => {
    let lines = 0;
    const log = new DenialLog(() => lines++);
    for (let i = 0; i < 3000; i++) log.log(denialOf({ ...event, destination: `192.0.2.1:${i}` }));
    log.log(denialOf({ ...event, destination: '192.0.2.1:0' }));
    assert.equal(lines, 3001);
  });
});

import assert from 'node:assert/strict';
import { DenialLog, denialOf } from '../../../../parent/egress/denials.js';
import { Egress } from '../../../../parent/egress/egress.js';
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

import assert from 'node:assert/strict';
import { encodePolicy } from '../../../../protocol/egress/encode.js';
import { EgressRuleError, parseRule } from '../../../../protocol/egress/grammar.js';
import { type EgressRule, formatTarget } from '../../../../protocol/egress/rule.js';
import { nativeTest } from '../../../support/native-test.js';

/** Numbers below `bound`, the same in each run (mulberry32). */
function random(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}

const parts = [
  ...[
    'tcp:',
    'udp:',
    'icmp:',
    'dns:',
    'dns',
    'host',
    'tcp',
    '@public',
    '@none',
    '*',
    '*.',
    '.',
    ':',
    '-',
    '/',
    '[',
    ']',
    '_',
    ' ',
  ],
  ...['example', 'com', 'a', 'x-1', 'BÜCHER', 'ß', '日本', '。', 'xn--bcher-kva', 'xn--', '\u0301', '\u200d', 'ﬀ', '①'],
  ...['10.0.0.0', '192.0.2.7', '2001:db8::', '::1', '::ffff:10.0.0.1', '0', '1', '8', '32', '443', '65535', '65536'],
];

/** Rules of random parts; most are invalid. */
function randomRules(count: number): EgressRule[] {
  const below = random(1);
  const rules: EgressRule[] = [];
  for (let i = 0; i < count; i++) {
    const text = Array.from({ length: 1 + below(7) }, () => parts[below(parts.length)]).join('');
    try {
      rules.push(parseRule(below(2) === 0 ? 'allow' : 'deny', text, 'test'));
    } catch (error) {
      assert(error instanceof EgressRuleError, `${JSON.stringify(text)}: ${error}`);
    }
  }
  return rules;
}

describe('rules that the grammar takes', () => {
  const rules = randomRules(60_000);

  it('are taken by the engine, too', async () => {
    assert(rules.length > 3000, `${rules.length} valid rules`);
    const kinds = new Set(rules.map(({ target }) => (target.kind === 'place' ? target.place.kind : target.kind)));
    assert.equal(kinds.size, 7, [...kinds].join());
    const loads = rules.map((rule) => `load ${encodePolicy([rule]).toString('hex')}`);
    const results = await nativeTest<boolean>(['policy'], loads);
    const refused = rules.filter((_, index) => results[index] !== true);
    assert.deepEqual(
      refused.slice(0, 5).map(({ target }) => formatTarget(target)),
      [],
    );
  });

  it('are the same when they are written and read again', () => {
    for (const { action, target } of rules) {
      if (action === 'deny' && target.kind === 'preset') continue;
      assert.deepEqual(parseRule(action, formatTarget(target), 'test').target, target, formatTarget(target));
    }
  });
});

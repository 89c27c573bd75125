/** A policy in the engine's form, and calls of it one after the other; see native/src/policy/policy.h. */
import assert from 'node:assert/strict';
import { parseEgressFile } from '../../../../protocol/egress/egress-file.js';
import { encodePolicy } from '../../../../protocol/egress/encode.js';
import { nativeTest } from '../../../support/native-test.js';

export interface Decided {
  verdict: 'allow' | 'deny' | 'peek';
  /** Number of the rule, from 0; -1 for the default. */
  rule: number;
  /** Why it is denied. */
  text: string;
}

/** A call with the words of its line, and what its result is compared with. */
export type Step = readonly [call: string, expected?: unknown];

const second = 1000;
export const minute = 60 * second;
export const hour = 60 * minute;

/** `load` with the rules of an egress file. */
export const load = (...rules: string[]): Step => [
  `load ${encodePolicy(parseEgressFile(rules.join('\n'), 'rules')).toString('hex')}`,
  true,
];

/** What of a result is compared: of decisions `VERDICT` or `VERDICT RULE`, as much as is expected. */
function comparable(result: unknown, expected: unknown): unknown {
  if (typeof expected !== 'string' || typeof result !== 'object' || result === null) return result;
  const { verdict, rule, text } = result as Decided;
  const words = expected.split(' ').length;
  return words === 1 ? verdict : words === 2 ? `${verdict} ${rule}` : `${verdict} ${rule} ${text}`;
}

/** Makes the calls of one policy, and compares the results that are expected. */
export async function expectSteps(...steps: Step[]): Promise<void> {
  const results = await nativeTest<unknown>(
    ['policy'],
    steps.map(([call]) => call),
  );
  assert.equal(results.length, steps.length);
  for (const [index, [call, expected]] of steps.entries()) {
    if (expected !== undefined) assert.deepEqual(comparable(results[index], expected), expected, call.slice(0, 200));
  }
}

/** The part of the API about the egress policy, an addition to RootlessKit's. */
import type { EgressReport } from '../../../protocol/api/egress.js';
import { isFields } from '../../../protocol/api/report-shapes.js';
import { parseRuleLine } from '../../../protocol/egress/grammar.js';
import type { EgressRule } from '../../../protocol/egress/rule.js';
import { quote } from '../../../protocol/text/preview.js';
import { type Egress, EgressError } from '../../egress/egress.js';
import { NetworkError } from '../../errors.js';

/** Of one request. */
const MAX_RULES = 1000;

/** Throws NetworkError where the network has no policy. */
export function egressOf(egress: Egress | undefined): Egress {
  if (!egress) throw new NetworkError('this stack has no egress policy; hint: start it with --net=builtin');
  return egress;
}

/** @param body `{rules: ["allow example.com", …]}`. Throws EgressError, EgressRuleError, NetworkError. */
export function changeEgress(egress: Egress | undefined, change: 'add' | 'remove', body: unknown): EgressReport {
  const rules = rulesOf(body);
  return egressOf(egress)[change](rules);
}

/**
 * The value of the only key that a body may have; undefined where it has none. Not by the schema of it: the stack itself does not
 * load zod, which takes long. Throws EgressError.
 */
export function onlyValue(body: unknown, name: string, expected: string): unknown {
  const fields = isFields(body) ? body : {};
  const unknown = Object.keys(fields).find((key) => key !== name);
  if (unknown !== undefined) throw new EgressError(400, `unknown key ${quote(unknown)}: ${expected}`);
  return fields[name];
}

function rulesOf(body: unknown): EgressRule[] {
  const expected = 'expected {"rules": ["allow RULE", "deny RULE", …]}';
  const rules = onlyValue(body, 'rules', expected);
  if (!Array.isArray(rules) || rules.length === 0) throw new EgressError(400, expected);
  if (rules.length > MAX_RULES) throw new EgressError(400, `at most ${MAX_RULES} rules can be changed at a time`);
  return rules.map((rule: unknown) => {
    const parsed = typeof rule === 'string' ? parseRuleLine(rule, 'rules') : undefined;
    if (!parsed) throw new EgressError(400, expected);
    return parsed;
  });
}

/** What the API reports of a policy. */
import type { EgressCounters, EgressReport } from '../api/egress.js';
import { defaultAction, type EgressRule, formatRule } from './rule.js';

/**
 * @param all counters: the default's, those of the rules, and of exceptions beside them; 0 where there are none
 * @param more the exceptions, as in encodePolicy()
 */
export function egressReport(
  rules: readonly EgressRule[],
  all: readonly EgressCounters[],
  more: readonly EgressRule[] = [],
): EgressReport {
  const [counters, ...ofRules] = all;
  const report = (rule: EgressRule, index: number) => ({ rule: formatRule(rule), ...pick(ofRules[index]) });
  return {
    default: defaultAction(rules),
    counters: pick(counters),
    rules: rules.map(report),
    ...(more.length > 0 && { overlay: more.map((rule, index) => report(rule, rules.length + index)) }),
  };
}

function pick({ allowed, denied, names }: EgressCounters = { allowed: 0, denied: 0, names: 0 }): EgressCounters {
  return { allowed, denied, names };
}

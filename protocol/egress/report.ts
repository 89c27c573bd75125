/** What the API reports of a policy. */
import type { EgressCounters, EgressReport } from '../api/egress.js';
import { defaultAction, type EgressRule, formatRule } from './rule.js';

/** @param all counters: the default's, and those of the rules; 0 where there are none */
export function egressReport(rules: readonly EgressRule[], all: readonly EgressCounters[]): EgressReport {
  const [counters, ...ofRules] = all;
  return {
    default: defaultAction(rules),
    counters: pick(counters),
    rules: rules.map((rule, index) => ({ rule: formatRule(rule), ...pick(ofRules[index]) })),
  };
}

function pick({ allowed, denied, names }: EgressCounters = { allowed: 0, denied: 0, names: 0 }): EgressCounters {
  return { allowed, denied, names };
}

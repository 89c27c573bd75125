/** What the API reports of the egress policy. */

import { hasFields, isFields, isFlag, isListOf, isNumber, isText, isTexts, optional } from './report-shapes.js';

/** Of a rule, or of the default. Connections, flows of datagrams and echo requests are counted, and queries for names. */
export interface EgressCounters {
  allowed: number;
  denied: number;
  names: number;
}

/** Response to `GET /v1/egress`, and to requests that change it. */
export interface EgressReport {
  /** What happens to what no rule is about. */
  default: 'allow' | 'deny';
  counters: EgressCounters;
  rules: EgressRuleReport[];
  /** Where tunnels of overlay networks lead, which is allowed beside the rules unless one of them denies it. */
  overlay?: EgressRuleReport[];
  /** With --learn: what was needed so far, as lines of an egress file, and whether there was more than can be recorded. */
  learned?: { file: string; rules: string[]; full: boolean };
}

export interface EgressRuleReport extends EgressCounters {
  /** As a line of an egress file, such as `allow registry.npmjs.org`. */
  rule: string;
}

/** Response to `GET /v1/containers/NAME/egress`, and to requests that change it. */
export interface ContainerEgressReport extends EgressReport {
  /** Policies of its networks, by their names. */
  networks: Record<string, EgressReport>;
}

const COUNTERS = { allowed: isNumber, denied: isNumber, names: isNumber };

const isRuleReports = isListOf(hasFields({ rule: isText, ...COUNTERS }));

export const isEgressReport = hasFields<EgressReport>({
  default: (value) => value === 'allow' || value === 'deny',
  counters: hasFields(COUNTERS),
  rules: isRuleReports,
  overlay: optional(isRuleReports),
  learned: optional(hasFields({ file: isText, rules: isTexts, full: isFlag })),
});

export function isContainerEgressReport(value: unknown): value is ContainerEgressReport {
  return (
    isEgressReport(value) &&
    'networks' in value &&
    isFields(value.networks) &&
    Object.values(value.networks).every(isEgressReport)
  );
}

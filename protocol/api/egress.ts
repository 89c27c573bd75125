/** What the API reports of the egress policy. */

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

export function isContainerEgressReport(value: unknown): value is ContainerEgressReport {
  return (
    isEgressReport(value) &&
    'networks' in value &&
    typeof value.networks === 'object' &&
    value.networks !== null &&
    Object.values(value.networks).every(isEgressReport)
  );
}

export function isEgressReport(value: unknown): value is EgressReport {
  return (
    typeof value === 'object' &&
    value !== null &&
    'default' in value &&
    'rules' in value &&
    Array.isArray(value.rules) &&
    value.rules.every((rule: unknown) => typeof rule === 'object' && rule !== null && 'rule' in rule)
  );
}

/** The options --allow, --deny and --egress-file, which commands have alike. */
import { readEgressFile } from './egress-file.js';
import { parseRule } from './grammar.js';
import type { EgressRule } from './rule.js';

export interface EgressOptions {
  allow?: readonly string[] | undefined;
  deny?: readonly string[] | undefined;
  egressFile?: readonly string[] | undefined;
}

/** The rules of all of them; none where there is no policy. Throws EgressRuleError, EgressFileError, FileError. */
export function rulesOfOptions({ allow = [], deny = [], egressFile = [] }: EgressOptions): EgressRule[] {
  return [
    ...egressFile.flatMap(readEgressFile),
    ...allow.map((text) => parseRule('allow', text, '--allow')),
    ...deny.map((text) => parseRule('deny', text, '--deny')),
  ];
}

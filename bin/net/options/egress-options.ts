/** The options of an egress policy, of containers and networks. */
import type { Command } from 'commander';
import { containerRules } from '../../../protocol/egress/container-policy.js';
import { type EgressOptions, rulesOfOptions } from '../../../protocol/egress/options.js';
import { formatRule } from '../../../protocol/egress/rule.js';
import { collect } from './values.js';

/** @param who may reach it */
export function withEgressOptions(command: Command, who: string): Command {
  return command
    .option(
      '--allow <rule>',
      `${who} may reach only this: NAME, *.NAME, ADDRESS or SUBNET, each optionally with :PORT, or @public and others; may be repeated`,
      collect,
    )
    .option('--deny <rule>', `${who} may not reach this; overrides --allow; may be repeated`, collect)
    .option(
      '--egress-file <path>',
      'read rules from a file, one per line: allow RULE or deny RULE; may be repeated',
      collect,
    );
}

/** As requests have them. Throws EgressRuleError, EgressFileError, FileError, ContainerPolicyError. */
export function egressOf(options: EgressOptions): string[] {
  return containerRules(rulesOfOptions(options).map(formatRule));
}

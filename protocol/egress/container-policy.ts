/** Policies of single containers and of networks: how they are named, and how large they may be. */
import { ExpectedError } from '../errors/expected-error.js';
import { parseRuleLine } from './grammar.js';
import { formatRule } from './rule.js';

/** Most rules of one of them. A request of the agent has all (native/src/connect/wire.h, kMaxPacket). */
export const MAX_CONTAINER_RULES = 1000;
const MAX_TEXT = 48 * 1024;

/** Rules that a container or a network cannot have. The message is one line and complete. */
export class ContainerPolicyError extends ExpectedError {
  override name = 'ContainerPolicyError';
  override readonly code: string = 'egress';
  override readonly httpStatus = 400;
}

/**
 * Lines of an egress file, in their canonical form and once each.
 * @throws EgressRuleError, ContainerPolicyError
 */
export function containerRules(lines: readonly string[]): string[] {
  const rules = lines.map((line) => {
    const rule = parseRuleLine(line, 'egress');
    if (!rule)
      throw new ContainerPolicyError(
        `invalid egress rule ${JSON.stringify(line)}: expected "allow RULE" or "deny RULE"`,
      );
    return formatRule(rule);
  });
  const once = [...new Set(rules)];
  if (once.length > MAX_CONTAINER_RULES || once.join('\n').length > MAX_TEXT) {
    throw new ContainerPolicyError(
      `there are ${once.length} egress rules: a container or a network has at most ${MAX_CONTAINER_RULES}, of ${MAX_TEXT / 1024} KiB`,
    );
  }
  return once;
}

/** Key of a policy between agent and parent. */
export const policyOfContainer = (id: string): string => `container ${id}`;
export const policyOfNetwork = (name: string): string => `network ${name}`;

/**
 * Rules with others added, or without them.
 * @throws EgressRuleError, ContainerPolicyError
 */
export function changedRules(rules: readonly string[], change: 'add' | 'remove', lines: readonly string[]): string[] {
  const wanted = containerRules(lines);
  if (wanted.length === 0) throw new ContainerPolicyError('no egress rule is given');
  if (change === 'add') return containerRules([...rules, ...wanted]);
  const missing = wanted.find((rule) => !rules.includes(rule));
  if (missing !== undefined) throw new ContainerPolicyError(`there is no rule "${missing}"`);
  const rest = rules.filter((rule) => !wanted.includes(rule));
  const allows = (list: readonly string[]) => list.some((rule) => rule.startsWith('allow '));
  if (allows(rules) && !allows(rest)) {
    throw new ContainerPolicyError(
      'without its last rule that allows, the policy would allow everything; hint: add "allow @none" first, or "allow *"',
    );
  }
  return rest;
}

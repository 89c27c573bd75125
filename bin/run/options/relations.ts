/** Checks the values of a command line against the table of options. */
import { UsageError } from '../../../parent/errors.js';
import type { Dialect } from '../dialect.js';
import { invalid } from './checks.js';
import { attributeOf, type Conflict, nameOf, type OptionRule } from './rule.js';
import { rulesFor } from './table.js';
import type { Values } from './values.js';

/** Checks each value that is on the command line by itself. Throws UsageError. */
export function checkValues(values: Values, given: (name: keyof Values) => boolean, dialect: Dialect): void {
  for (const rule of rulesIn(dialect)) {
    if (!given(attributeOf(rule))) continue;
    for (const value of valuesOf(values, rule)) {
      if (rule.choices && !rule.choices.includes(value)) {
        throw invalid(
          nameOf(rule),
          value,
          `expected ${rule.choices.length === 1 ? '' : 'one of '}${rule.choices.join(', ')}`,
        );
      }
      rule.check?.(value, { dialect, values });
    }
  }
}

/**
 * Checks that no two options conflict, and that each has what it requires.
 *
 * @param values with the port driver and the network that were selected
 * @param given whether the option is on the command line, for those that have a default
 * @throws UsageError
 */
export function checkRelations(values: Values, given: (name: keyof Values) => boolean, dialect: Dialect): void {
  const rules = new Map(rulesIn(dialect).map((rule) => [`--${nameOf(rule)}`, rule]));
  const inEffect = (option: string, wanted: readonly string[] | undefined): string | undefined => {
    const rule = rules.get(option);
    if (!rule) return undefined;
    if (wanted) return valuesOf(values, rule).find((value) => wanted.includes(value));
    return given(attributeOf(rule)) && values[attributeOf(rule)] !== false ? '' : undefined;
  };
  for (const [option, rule] of rules) {
    for (const conflict of rule.conflicts ?? []) {
      const own = inEffect(option, conflict.own);
      if (own === undefined) continue;
      const other = inEffect(conflict.option, conflict.values);
      if (other !== undefined) throw conflictError(option, own, conflict, other);
    }
    if (!rule.requires || inEffect(option, undefined) === undefined) continue;
    // RootlessKit's messages name the option without dashes.
    const name = dialect.name === 'rootlesskit' ? nameOf(rule) : option;
    for (const { option: required, value } of rule.requires) {
      if (inEffect(required, value === undefined ? undefined : [value]) !== undefined) continue;
      const found = value === undefined ? '' : `=${value}, not ${currentValue(values, rules, required)}`;
      throw new UsageError(`${name} requires ${required}${found}`);
    }
  }
}

function conflictError(option: string, own: string, conflict: Conflict, other: string): UsageError {
  const shown = (name: string, value: string) => (value === '' ? name : `${name}=${value}`);
  const { reason, hint } = conflict;
  const pair = `${shown(option, own)} and ${shown(conflict.option, other)}`;
  return new UsageError(`${pair} are mutually exclusive${reason === undefined ? '' : `: ${reason}`}`, { hint });
}

function currentValue(values: Values, rules: ReadonlyMap<string, OptionRule>, option: string): string {
  const rule = rules.get(option);
  return rule ? valuesOf(values, rule).join(',') : '';
}

function rulesIn(dialect: Dialect): OptionRule[] {
  return rulesFor(dialect).flatMap(([, rules]) => rules);
}

/** None for a switch, and for an option that is absent and has no default. */
function valuesOf(values: Values, rule: OptionRule): readonly string[] {
  const value = values[attributeOf(rule)];
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? value : [];
}

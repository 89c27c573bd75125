/**
 * Parses options by the table alone. That is enough for the usual command line, and takes a start some milliseconds less than
 * to describe all options to commander, which has the help and the error messages.
 */
import type { LongOptions } from '../../rootlesskit-compat/go-flags.js';
import type { Dialect } from '../dialect.js';
import { attributeOf, isSwitch, nameOf, type OptionRule, textFor } from './rule.js';
import { rulesFor } from './table.js';
import type { ParsedOptions, Values } from './values.js';

function rulesIn(dialect: Dialect): OptionRule[] {
  return rulesFor(dialect).flatMap(([, rules]) => rules);
}

/** The one-letter name of an option; undefined without one. */
function letterOf({ flags }: OptionRule): string | undefined {
  return /^-(\w),/.exec(flags)?.[1];
}

/** The names of all options, as they are those of the command that command.ts makes. */
export function optionNames(dialect: Dialect): Pick<LongOptions, 'booleans' | 'valued'> {
  const rules = rulesIn(dialect);
  const names = (isWanted: (rule: OptionRule) => boolean) =>
    rules.filter(isWanted).flatMap((rule) => [nameOf(rule), letterOf(rule) ?? []].flat());
  return {
    booleans: [...names(isSwitch), 'version', 'v', 'help', 'h'],
    valued: names((rule) => !isSwitch(rule)),
  };
}

/**
 * The values of normalised options (splitGoFlags()); undefined where one is unknown, has no value or an empty one, or asks for
 * help: those are for commander.
 */
export function plainValues(options: readonly string[], dialect: Dialect): ParsedOptions | undefined {
  const rules = new Map<string, OptionRule>();
  const values: Record<string, string | boolean | string[]> = {};
  for (const rule of rulesIn(dialect)) {
    rules.set(`--${nameOf(rule)}`, rule);
    const letter = letterOf(rule);
    if (letter !== undefined) rules.set(`-${letter}`, rule);
    const absent = rule.list ? undefined : textFor(rule.default, dialect);
    if (absent !== undefined) values[attributeOf(rule)] = absent;
  }
  const given = new Set<keyof Values>();
  for (let index = 0; index < options.length; index++) {
    const [, name = '', value = options[index + 1]] = /^([^=]*)(?:=(.*))?$/s.exec(options[index] ?? '') ?? [];
    const rule = rules.get(name) ?? rules.get(name.replace(/^--no-/, '--'));
    if (!rule) return undefined;
    const attribute = attributeOf(rule);
    if (isSwitch(rule)) {
      values[attribute] = rules.has(name);
    } else {
      if (!rules.has(name) || value === undefined || value === '') return undefined;
      if (!options[index]?.includes('=')) index++;
      const before = values[attribute];
      values[attribute] = rule.list ? [...(Array.isArray(before) ? before : []), ...value.split(',')] : value;
    }
    given.add(attribute);
  }
  // The table has a default for each option that is not optional there.
  return { values: values as unknown as Values, given: (name) => given.has(name) };
}

/** A row of the table of options (table.ts), and how its texts depend on the name of the program. */
import type { Dialect } from '../dialect.js';
import type { Values } from './values.js';

export const groups = ['Ports', 'Network', 'Files', 'Processes', 'Other'] as const;
export type Group = (typeof groups)[number];

/** A text that may differ between rootless-run and rootlesskit. */
export type Text = string | ((dialect: Dialect) => string | undefined);

export interface OptionRule {
  /** Names and value in commander's notation: `-p, --publish <spec>`. An option without a value is a switch. */
  readonly flags: string;
  readonly description: Text;
  /** Value of the option where it is absent. */
  readonly default?: Text;
  /** Shown in place of a default that is only known when the other options are. */
  readonly impliedDefault?: Text;
  /** May be repeated, and takes several values separated by commas. */
  readonly list?: true;
  /** The only valid values. */
  readonly choices?: readonly string[];
  /** The only program that has the option; both where absent. */
  readonly only?: Dialect['name'];
  /** Programs under which an empty value is an error instead of the same as no option: it must not select a default. */
  readonly refusesEmpty?: readonly Dialect['name'][];
  /** Throws UsageError if the value is invalid by itself. */
  readonly check?: (value: string, context: CheckContext) => void;
  readonly conflicts?: readonly Conflict[];
  readonly requires?: readonly Requirement[];
}

/** Begins the description of an option that RootlessKit has and that changes nothing here. */
export const IGNORED = 'accepted for compatibility; ignored';

export function isIgnored({ description }: OptionRule): boolean {
  return typeof description === 'string' && description.startsWith(IGNORED);
}

export interface CheckContext {
  dialect: Dialect;
  values: Values;
}

/** An option that cannot be used together with the rule's own one. */
export interface Conflict {
  /** Values of the rule's own option that conflict; any where absent. */
  readonly own?: readonly string[];
  /** Long name of the other option, with dashes. */
  readonly option: string;
  /** Values of the other option that conflict; any where absent. */
  readonly values?: readonly string[];
  readonly reason?: string;
  readonly hint?: string;
}

/** An option without which the rule's own one cannot be used. */
export interface Requirement {
  /** Long name, with dashes. */
  readonly option: string;
  /** Value that it must have; any where absent. */
  readonly value?: string;
}

/** The description in --help, the manual page and the documentation, without the default. */
export function descriptionOf({ description, choices }: OptionRule, dialect: Dialect): string {
  const text = textFor(description, dialect) ?? '';
  return choices ? `${text} (${choices.join(', ')})` : text;
}

/** The text for the program of that name; undefined if it has none. */
export function textFor(text: Text | undefined, dialect: Dialect): string | undefined {
  return typeof text === 'function' ? text(dialect) : text;
}

/** The long name of the option, without dashes. */
export function nameOf({ flags }: OptionRule): string {
  // Without regular expressions: it is called some hundred times in each start.
  const [name = ''] = flags.slice(flags.lastIndexOf('--') + 2).split(' ', 1);
  return name;
}

/** The name by which commander stores the option: `copyUp` for --copy-up. */
export function attributeOf(rule: OptionRule): keyof Values {
  const [first = '', ...words] = nameOf(rule).split('-');
  return (first + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('')) as keyof Values;
}

/** Whether the option is on or off, without a value. */
export function isSwitch({ flags }: OptionRule): boolean {
  return !flags.includes('<');
}

/** The table of options as Markdown, for docs/guide/options.md. */
import { type Dialect, rootlesskit, rootlessRun } from '../dialect.js';
import { descriptionOf, nameOf, type OptionRule, textFor } from './rule.js';
import { optionTable } from './table.js';

/** A table for each group. */
export function optionReference(): string {
  return Object.entries(optionTable)
    .map(([group, rules]) =>
      [
        `### ${group}`,
        '',
        '| Option | Meaning | Default | Default as `rootlesskit` | Conflicts, requirements |',
        '|---|---|---|---|---|',
        ...rules.map(rowOf),
      ].join('\n'),
    )
    .join('\n\n');
}

function rowOf(rule: OptionRule): string {
  const cells = [
    code(rule.flags),
    descriptionOf(rule, rootlessRun),
    defaultOf(rule, rootlessRun),
    rule.only === 'rootless-run' ? 'not an option' : defaultOf(rule, rootlesskit),
    [...conflictsOf(rule), ...requirementsOf(rule)].join('; '),
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
    .replaceAll('|  |', '| |')
    .replaceAll('|  |', '| |');
}

function defaultOf({ default: value, impliedDefault }: OptionRule, dialect: Dialect): string {
  const fixed = textFor(value, dialect);
  return fixed === undefined ? (textFor(impliedDefault, dialect) ?? '') : code(fixed);
}

/** Conflicts of the option's own rule, and of the other options' rules with it. */
function conflictsOf(rule: OptionRule): string[] {
  const name = `--${nameOf(rule)}`;
  const own = (rule.conflicts ?? []).map(
    ({ own: values, option, values: others }) =>
      `${values ? `${values.map(code).join(' and ')} ` : ''}not with ${shown(option, others)}`,
  );
  const reverse = Object.values(optionTable)
    .flat()
    .flatMap((other) =>
      (other.conflicts ?? [])
        .filter(({ option }) => option === name)
        .map(({ own: values, values: wanted }) => ({ other: `--${nameOf(other)}`, values, wanted })),
    )
    .map(
      ({ other, values, wanted }) =>
        `${wanted ? `${wanted.map(code).join(' and ')} ` : ''}not with ${shown(other, values)}`,
    );
  return [...own, ...reverse];
}

function requirementsOf({ requires = [] }: OptionRule): string[] {
  return requires.map(({ option, value }) => `requires ${shown(option, value === undefined ? undefined : [value])}`);
}

function shown(option: string, values: readonly string[] | undefined): string {
  return values === undefined ? code(option) : values.map((value) => code(`${option}=${value}`)).join(' or ');
}

function code(text: string): string {
  return `\`${text}\``;
}

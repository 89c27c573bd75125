/**
 * Parses and checks a command line of rootless-run, which is that of RootlessKit too, before anything is started: Go's flag
 * syntax (rootlesskit-compat/go-flags.ts), values by the table of options, or by commander where it has an error or asks for
 * help, then checks by the table, then StackOptions.
 */
import type { Command } from 'commander';
import { UsageError } from '../../../parent/errors.js';
import { EarlyExit } from '../../common/failure.js';
import { writeOutput } from '../../common/standard-output.js';
import { GoFlagError, type LongOptions, splitGoFlags } from '../../rootlesskit-compat/go-flags.js';
import { semverPart } from '../../rootlesskit-compat/rootlesskit-face.js';
import type { Dialect } from '../dialect.js';
import { makeRunCommand } from './command.js';
import { toRunRequest } from './request.js';
import { attributeOf, isSwitch, nameOf, type OptionRule, textFor } from './rule.js';
import { rulesFor } from './table.js';
import { IncorrectUsageError, type ParsedOptions, type RunRequest, type Values } from './values.js';

export interface ParseOptions {
  /** False for a stack without a command, which then must not have one. */
  needsCommand?: boolean;
  /** With options that are not in the table. */
  command?: Command;
}

/** Throws UsageError, PortSpecError, NetworkError for --cidr, or EarlyExit. */
export function parseCommandLine(
  args: readonly string[],
  dialect: Dialect,
  { needsCommand = true, command }: ParseOptions = {},
): RunRequest {
  const { options, rest: words = [] } = split(args, dialect, command);
  const { values, given } =
    (command ? undefined : plainValues(options, dialect)) ??
    parseByCommander(options, command ?? makeRunCommand(dialect));
  if (values.printSemver !== undefined) {
    writeOutput(`${semverPart(values.printSemver)}\n`);
    throw new EarlyExit();
  }
  if (needsCommand && words.length === 0) {
    throw new UsageError(`no command specified; for a shell: ${dialect.name} -- bash`);
  }
  if (!needsCommand && words.length > 0) {
    throw new UsageError(`unexpected command: ${words.join(' ')}`);
  }
  return toRunRequest({ values, given, dialect, command: words, hasCommand: needsCommand });
}

function parseByCommander(options: readonly string[], command: Command): ParsedOptions {
  // Without the command's words, which may be too many for one call.
  command.parse(options, { from: 'user' });
  return {
    values: command.opts<Values>(),
    given: (name) => command.getOptionValueSource(name) === 'cli',
  };
}

/** Rewrites Go's flags to commander's form. Throws IncorrectUsageError. */
function split(args: readonly string[], dialect: Dialect, command?: Command): ReturnType<typeof splitGoFlags> {
  const known: LongOptions = {
    ...(command ? namesIn(command) : optionNames(dialect)),
    stopAtCommand: true,
    negatable: true,
    strict: dialect.name === 'rootlesskit',
  };
  try {
    return splitGoFlags(args, known);
  } catch (error) {
    if (!(error instanceof GoFlagError)) throw error;
    throw new IncorrectUsageError(error.message, { hint: `${dialect.name} --help` });
  }
}

function namesIn(command: Command): Pick<LongOptions, 'booleans' | 'valued'> {
  const namesOf = (valued: boolean) =>
    command.options
      .filter(({ required, negate }) => required === valued && !negate)
      .flatMap(({ long, short }) => [long, short].flatMap((flag) => (flag ? [flag.replace(/^-+/, '')] : [])));
  return { booleans: [...namesOf(false), 'help', 'h'], valued: namesOf(true) };
}

/*
 * By the table alone: that is enough for the usual command line, and takes a start some milliseconds less than to describe all
 * options to commander, which has the help and the error messages.
 */

function rulesIn(dialect: Dialect): OptionRule[] {
  return rulesFor(dialect).flatMap(([, rules]) => rules);
}

/** The one-letter name of an option; undefined without one. */
function letterOf({ flags }: OptionRule): string | undefined {
  return /^-(\w),/.exec(flags)?.[1];
}

/** The names of all options, as they are those of the command that command.ts makes. */
function optionNames(dialect: Dialect): Pick<LongOptions, 'booleans' | 'valued'> {
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
function plainValues(options: readonly string[], dialect: Dialect): ParsedOptions | undefined {
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

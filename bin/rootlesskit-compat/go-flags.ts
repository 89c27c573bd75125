import { UsageError } from '../../parent/errors.js';

/** The options of a command, by name without dashes: switches, and options with a value. */
export interface LongOptions {
  booleans: readonly string[];
  valued: readonly string[];
  /** Whether the first word that is not an option begins a command, which is not changed. */
  stopAtCommand?: boolean;
  /** Whether each switch has a `--no-NAME`, which turns it off again. */
  negatable?: boolean;
  /** Whether GoFlagError is thrown for everything that Go rejects; otherwise unknown options are left to the next parser. */
  strict?: boolean;
}

/** An option that Go's flag package rejects; with its message if the options are strict. */
export class GoFlagError extends UsageError {
  override name = 'GoFlagError';
}

/** Switches that print something and exit: they cannot be turned off. */
const PRINTING = ['help', 'h', 'version', 'v'];

/**
 * Rewrites options in the syntax of Go's flag package, which scripts for RootlessKit may use, to the usual syntax: `-socket X`
 * becomes `--socket X`, `--json=true` becomes `--json`, `--json=0` is removed (or becomes `--no-json`). Unknown options and
 * everything after `--` are not changed.
 */
export function normalizeGoFlags(args: readonly string[], known: LongOptions): string[] {
  const { options, rest } = splitGoFlags(args, known);
  return rest === undefined ? options : [...options, '--', ...rest];
}

/** Like normalizeGoFlags(), but separates the options from what follows `--` or begins with the command. */
export function splitGoFlags(
  args: readonly string[],
  { booleans, valued, stopAtCommand, negatable, strict }: LongOptions,
): { options: string[]; rest?: readonly string[] } {
  const result: string[] = [];
  for (let index = 0; index < args.length; index++) {
    const arg = args[index] ?? '';
    if (arg === '--') return { options: result, rest: args.slice(index + 1) };
    if (stopAtCommand && (!arg.startsWith('-') || arg === '-')) return { options: result, rest: args.slice(index) };
    const match = /^--?([a-z][a-z0-9-]*)(?:=(.*))?$/s.exec(arg);
    const name = match?.[1] ?? '';
    const dashed = name.length === 1 ? `-${name}` : `--${name}`;
    const value = match?.[2];
    if (booleans.includes(name)) {
      // Equal to no option, see empty-options.ts.
      if (value === '') continue;
      if (value === undefined || isTrue(value)) result.push(dashed);
      else if (!isFalse(value)) {
        if (strict) throw new GoFlagError(`invalid boolean value ${JSON.stringify(value)} for -${name}: parse error`);
        throw new GoFlagError(`invalid --${name} ${JSON.stringify(value)}: expected true or false`);
      } else if (negatable && !PRINTING.includes(name)) result.push(`--no-${name}`);
    } else if (valued.includes(name)) {
      if (value === undefined) {
        if (strict && index + 1 === args.length) throw new GoFlagError(`flag needs an argument: -${name}`);
        result.push(dashed);
        if (index + 1 < args.length) result.push(args[++index] ?? '');
      } else if (name.length === 1) {
        result.push(dashed, value);
      } else {
        result.push(`${dashed}=${value}`);
      }
    } else {
      if (strict) throw undefinedFlag(arg);
      // Unknown: without its value, so that only its name is compared with those of known options.
      result.push(name.length > 1 ? dashed : arg);
    }
  }
  return { options: result };
}

function undefinedFlag(arg: string): GoFlagError {
  const name = /^--?([^-=][^=]*)/s.exec(arg)?.[1];
  return new GoFlagError(name === undefined ? `bad flag syntax: ${arg}` : `flag provided but not defined: -${name}`);
}

/**
 * Parses like Go's strconv.ParseInt with base 0: decimal, or with a prefix 0x, 0b, 0o or 0, and with underscores between
 * digits. Undefined if the text is not a number.
 */
export function parseGoInteger(text: string): number | undefined {
  const match =
    /^([+-]?)(0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0(?:_?[0-7])*|[1-9](?:_?[0-9])*)$/.exec(text);
  if (!match) return undefined;
  const digits = (match[2] ?? '').replaceAll('_', '');
  const size = /^0[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number(digits);
  return match[1] === '-' ? -size : size;
}

/** Like Go's strconv.ParseBool. */
function isTrue(text: string): boolean {
  return ['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text);
}

function isFalse(text: string): boolean {
  return ['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text);
}

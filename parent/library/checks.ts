/**
 * Checks of what programs pass to the library: names are known, and values have the types that are declared. The compiler
 * checks that for programs in TypeScript only; and what is misspelled would be ignored, or stand for a default.
 */
import { isFields } from '../../protocol/api/report-shapes.js';
import { signalNumber } from '../../protocol/system/signals.js';
import { quote } from '../../protocol/text/preview.js';
import { OptionError } from './errors.js';

export type Check = readonly [isValid: (value: unknown) => boolean, expected: string];
export type Checks<T> = Readonly<Record<keyof T, Check>>;

/** Longest time of a timer, in ms; it takes a longer one for 1. */
const MAX_DELAY = 2 ** 31 - 1;

export const anyText: Check = [(value) => typeof value === 'string' && !value.includes('\0'), 'a string'];
export const text: Check = [(value) => anyText[0](value) && value !== '', 'a string that is not empty'];
export const texts: Check = [(value) => Array.isArray(value) && value.every(text[0]), 'an array of strings'];
/** May be empty, as arguments of programs. */
export const words: Check = [(value) => Array.isArray(value) && value.every(anyText[0]), 'an array of strings'];
export const flag: Check = [(value) => typeof value === 'boolean', 'true or false'];
export const object: Check = [isFields, 'an object'];
export const abortSignal: Check = [(value) => value instanceof AbortSignal, 'an AbortSignal'];
export const callback: Check = [(value) => typeof value === 'function', 'a function'];
export const signal: Check = [isSignal, 'a signal, such as SIGTERM'];

export const oneOf = (choices: readonly unknown[]): Check => [
  (value) => choices.includes(value),
  `one of ${choices.join(', ')}`,
];

export const whole = (least: number, most = Number.MAX_SAFE_INTEGER): Check => [
  (value) => Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most,
  most === Number.MAX_SAFE_INTEGER ? `a whole number from ${least} on` : `a whole number from ${least} to ${most}`,
];

export const milliseconds = (least: number): Check => [
  (value) => typeof value === 'number' && value >= least && value <= MAX_DELAY,
  `a number of ms from ${least} to ${MAX_DELAY}`,
];

export const either = (one: Check, other: Check): Check => [
  (value) => one[0](value) || other[0](value),
  `${one[1]}, or ${other[1]}`,
];

/** Variables of an environment by name. */
export const environment = (value: Check, expected: string): Check => [
  (variables) =>
    isFields(variables) &&
    Object.entries(variables).every(([name, content]) => /^[^=\0]+$/.test(name) && value[0](content)),
  expected,
];

function isSignal(value: unknown): boolean {
  if (typeof value !== 'string' && typeof value !== 'number') return false;
  try {
    return signalNumber(String(value)) > 0;
  } catch {
    return false;
  }
}

/**
 * Throws OptionError, unless `fail` makes other errors. What is undefined counts as absent.
 * @param within what the values are in, where messages are to name that
 */
export function checkFields<T>(
  values: unknown,
  checks: Checks<T>,
  { within = '', fail = optionError }: { within?: string; fail?: (message: string, field: string) => Error } = {},
): void {
  if (!isFields(values)) throw fail(`invalid ${within || 'options'} ${shown(values)}: expected an object`, within);
  const known: Readonly<Record<string, Check>> = checks;
  for (const [name, value] of Object.entries(values)) {
    const field = within === '' ? name : `${within}.${name}`;
    const check = Object.hasOwn(known, name) ? known[name] : undefined;
    if (!check) throw fail(`unknown option ${field}: there are ${Object.keys(known).join(', ')}`, field);
    if (value !== undefined) checkValue(value, check, { field, fail });
  }
}

/** The same for a value by itself. */
export function checkValue(
  value: unknown,
  [isValid, expected]: Check,
  { field, fail = optionError }: { field: string; fail?: (message: string, field: string) => Error },
): void {
  if (!isValid(value)) throw fail(`invalid ${field} ${shown(value)}: expected ${expected}`, field);
}

function optionError(message: string, field: string): OptionError {
  return new OptionError(message, field);
}

/** A value in a message. */
export function shown(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  if (typeof value !== 'string' && typeof value !== 'object') return String(value);
  const type = value?.constructor.name;
  return typeof value === 'string' || type === undefined || ['Object', 'Array'].includes(type) ? quote(value) : type;
}

/**
 * The functions of templates: those of Go's text/template that apply to the values here, and those that docker adds
 * (https://docs.docker.com/engine/cli/formatting/). `and` and `or` are part of the language, see evaluate.ts.
 */
import { printableJSON } from '../../../protocol/text/printable-text.js';
import { formatVerbs } from './printf.js';
import {
  Dictionary,
  isList,
  isTrue,
  kindOf,
  MAX_WIDTH,
  type Method,
  TemplateError,
  textOf,
  type Value,
} from './values.js';

function expectText(name: string, value: Value): string {
  if (typeof value === 'string') return value;
  throw new TemplateError(`${name} takes a string, not ${kindOf(value)}`);
}

function expectCount(name: string, value: Value): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_WIDTH) return value;
  throw new TemplateError(`${name} takes a number from 0 to ${MAX_WIDTH}, not ${textOf(value)}`);
}

/** Makes the function check the number of its arguments. */
function counted(name: string, least: number, most: number, call: Method): [string, Method] {
  return [
    name,
    (...args) => {
      if (args.length >= least && args.length <= most) return call(...args);
      const wanted =
        least === most ? `${least}` : most === Number.POSITIVE_INFINITY ? `at least ${least}` : `${least} to ${most}`;
      throw new TemplateError(`${name} takes ${wanted} argument${wanted === '1' ? '' : 's'}, ${args.length} given`);
    },
  ];
}

const MANY = Number.POSITIVE_INFINITY;

function length(value: Value): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (isList(value)) return value.length;
  if (value instanceof Dictionary) return value.size;
  throw new TemplateError(`len of ${kindOf(value)}`);
}

function index(value: Value, ...keys: Value[]): Value {
  return keys.reduce<Value>((from, key) => {
    if (from instanceof Dictionary) return from.get(expectText('index of a map', key)) ?? from.zero;
    if (!isList(from)) throw new TemplateError(`index of ${kindOf(from)}`);
    if (typeof key !== 'number') throw new TemplateError(`index of a list takes a number, not ${kindOf(key)}`);
    if (!Number.isInteger(key) || key < 0 || key >= from.length) {
      throw new TemplateError(`index out of range: ${key} of a list of ${from.length}`);
    }
    return from[key];
  }, value);
}

function slice(value: Value, from: Value = 0, to?: Value): Value {
  if (typeof value !== 'string' && !isList(value)) throw new TemplateError(`slice of ${kindOf(value)}`);
  const end = to ?? value.length;
  if (typeof from !== 'number' || typeof end !== 'number' || from < 0 || from > end || end > value.length) {
    throw new TemplateError(`slice out of range: ${textOf(from)} to ${textOf(end)} of ${value.length}`);
  }
  return value.slice(from, end);
}

function isEqual(one: Value, other: Value): boolean {
  const [a, b] = [one ?? null, other ?? null];
  const simple = (value: Value) => value === null || typeof value !== 'object';
  if (!simple(a) || !simple(b)) throw new TemplateError(`cannot compare ${kindOf(a)} and ${kindOf(b)}`);
  if (a !== null && b !== null && typeof a !== typeof b) {
    throw new TemplateError(`incompatible types for comparison: ${kindOf(a)} and ${kindOf(b)}`);
  }
  return a === b;
}

function isLess(a: Value, b: Value): boolean {
  if (typeof a === 'number' && typeof b === 'number') return a < b;
  if (typeof a === 'string' && typeof b === 'string') return a < b;
  throw new TemplateError(`incompatible types for comparison: ${kindOf(a)} and ${kindOf(b)}`);
}

/** Functions get nil in place of "no value". */
const shown = (value: Value): string => textOf(value ?? null);

/** Like fmt.Sprint: a space between two values if neither is a string. */
function print(...values: Value[]): string {
  return values
    .map((value, at) => {
      const between = at > 0 && typeof value !== 'string' && typeof values[at - 1] !== 'string';
      return (between ? ' ' : '') + shown(value);
    })
    .join('');
}

function join(list: Value, separator: Value): string {
  if (!isList(list)) throw new TemplateError(`join takes a list, not ${kindOf(list)}`);
  return list.map((part) => expectText('join', part)).join(expectText('join', separator));
}

const title = (text: string) => text.replaceAll(/(?<![\p{L}\p{N}'_])\p{L}/gu, (letter) => letter.toUpperCase());

/** docker's function: spaces before and after, except for an empty text. */
function pad(value: Value, before: Value, after: Value): string {
  const text = expectText('pad', value);
  if (text === '') return text;
  return ' '.repeat(expectCount('pad', before)) + text + ' '.repeat(expectCount('pad', after));
}

function truncate(value: Value, count: Value): string {
  return [...expectText('truncate', value)].slice(0, expectCount('truncate', count)).join('');
}

export const FUNCTIONS: ReadonlyMap<string, Method> = new Map([
  counted('not', 1, 1, (value) => !isTrue(value)),
  counted('len', 1, 1, length),
  counted('index', 1, MANY, index),
  counted('slice', 1, 3, slice),
  counted('eq', 2, MANY, (first, ...others) => others.some((other) => isEqual(first, other))),
  counted('ne', 2, 2, (a, b) => !isEqual(a, b)),
  counted('lt', 2, 2, (a, b) => isLess(a, b)),
  counted('le', 2, 2, (a, b) => !isLess(b, a)),
  counted('gt', 2, 2, (a, b) => isLess(b, a)),
  counted('ge', 2, 2, (a, b) => !isLess(a, b)),
  counted('print', 0, MANY, print),
  counted('println', 0, MANY, (...values) => `${values.map(shown).join(' ')}\n`),
  counted('printf', 1, MANY, (format, ...values) =>
    formatVerbs(
      expectText('printf', format),
      values.map((value) => value ?? null),
    ),
  ),
  counted('json', 1, 1, (value) => printableJSON(value)),
  counted('split', 2, 2, (text, separator) => expectText('split', text).split(expectText('split', separator))),
  counted('join', 2, 2, join),
  counted('title', 1, 1, (text) => title(expectText('title', text))),
  counted('lower', 1, 1, (text) => expectText('lower', text).toLowerCase()),
  counted('upper', 1, 1, (text) => expectText('upper', text).toUpperCase()),
  counted('pad', 3, 3, pad),
  counted('truncate', 2, 2, truncate),
]);

/** The functions for headings of a table, which do not change them. */
export const HEADER_FUNCTIONS: ReadonlyMap<string, Method> = new Map([
  ...FUNCTIONS,
  ...['json', 'title', 'lower', 'upper', 'pad', 'truncate'].map((name): [string, Method] => [name, (text) => text]),
  ['join', (text) => text],
  ['split', (text) => text],
]);

/** The values of templates, and how Go's fmt package prints them. */

/** Maximum number of characters that a function pads a text with. */
export const MAX_WIDTH = 10_000;

/** A map of Go: any key may be read, and entries are sorted by key. */
export class Dictionary {
  readonly #entries: ReadonlyMap<string, Value>;

  /** @param zero what `index` returns for a missing key */
  constructor(
    entries: Readonly<Record<string, Value>>,
    readonly zero: Value = null,
  ) {
    this.#entries = new Map(Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Undefined for a missing key. */
  get(key: string): Value {
    return this.#entries.get(key);
  }

  entries(): [string, Value][] {
    return [...this.#entries];
  }

  toJSON(): Record<string, Value> {
    return Object.fromEntries(this.#entries);
  }
}

/** A struct of Go: reading any other field is an error. */
export interface Struct {
  readonly [field: string]: Value;
}

/**
 * Adds fields to the struct that templates can read, but that are not printed with it: docker's Go names of fields, and
 * fields that docker omits from JSON if they are empty.
 */
export function withHidden(struct: Record<string, Value>, hidden: Readonly<Record<string, Value>>): Struct {
  for (const [name, value] of Object.entries(hidden)) {
    if (!Object.hasOwn(struct, name)) Object.defineProperty(struct, name, { value, enumerable: false });
  }
  return struct;
}

export type Method = (...args: Value[]) => Value;

/** Undefined is Go's "no value", as for a missing key of a map; null is nil. */
export type Value = string | number | boolean | null | undefined | readonly Value[] | Dictionary | Struct | Method;

/** A template is invalid, or does not fit the data. The message is one line, without the template. */
export class TemplateError extends Error {
  override name = 'TemplateError';
}

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

export function isStruct(value: Value): value is Struct {
  return typeof value === 'object' && value !== null && !isList(value) && !(value instanceof Dictionary);
}

/** The truth value for `if`: false, 0, nil and empty values are false. */
export function isTrue(value: Value): boolean {
  if (isList(value)) return value.length > 0;
  if (value instanceof Dictionary) return value.size > 0;
  return Boolean(value);
}

/** Formats like the verb %v of Go. */
export function textOf(value: Value): string {
  if (value === undefined) return '<no value>';
  if (value === null) return '<nil>';
  if (typeof value === 'function') return '<method>';
  if (typeof value !== 'object') return String(value);
  const inner = (part: Value) => (part === undefined ? '<nil>' : textOf(part));
  if (isList(value)) return `[${value.map(inner).join(' ')}]`;
  if (value instanceof Dictionary)
    return `map[${value
      .entries()
      .map(([key, part]) => `${key}:${inner(part)}`)
      .join(' ')}]`;
  return `{${Object.values(value)
    .filter((part) => typeof part !== 'function')
    .map(inner)
    .join(' ')}}`;
}

/** The kind of the value, for messages. */
export function kindOf(value: Value): string {
  if (value === null || value === undefined) return 'nil';
  if (isList(value)) return 'a list';
  if (value instanceof Dictionary) return 'a map';
  switch (typeof value) {
    case 'string':
      return 'a string';
    case 'number':
      return 'a number';
    case 'boolean':
      return 'a boolean';
    case 'function':
      return 'a method';
    default:
      return 'a struct';
  }
}

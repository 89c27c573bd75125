/** `--filter` of the listing commands. */
import { UsageError } from '../../../parent/errors.js';

/** Whether the item is shown; `all` are the items before filtering. */
export type Test<Item> = (item: Item, all: readonly Item[]) => boolean;

/** By name: makes the test for a value. Throws FilterValueError for an invalid value. */
export type FilterKinds<Item> = Readonly<Record<string, (value: string) => Test<Item>>>;

/** The value of a filter is invalid. The message is what was expected. */
export class FilterValueError extends Error {
  override name = 'FilterValueError';
}

export interface Filters<Item> {
  select(all: readonly Item[]): Item[];
  has(name: string): boolean;
}

/**
 * As in docker, filters of different names must all match; of several with one name any must match, or all if the name is in
 * `every`.
 *
 * @param refused docker's filters that are not supported, with the reason
 * @throws UsageError
 */
export function parseFilters<Item>(
  texts: readonly string[],
  kinds: FilterKinds<Item>,
  { every = ['label'], refused = {} }: { every?: readonly string[]; refused?: Readonly<Record<string, string>> } = {},
): Filters<Item> {
  const byName = new Map<string, Test<Item>[]>();
  for (const text of texts) {
    const fail = (problem: string): never => {
      throw new UsageError(`invalid --filter ${JSON.stringify(text)}: ${problem}`);
    };
    const equals = text.indexOf('=');
    if (equals < 1) fail('expected NAME=VALUE');
    const name = text.slice(0, equals).trim().toLowerCase();
    const reason = Object.hasOwn(refused, name) ? refused[name] : undefined;
    if (reason !== undefined) fail(reason);
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    if (!kind) return fail(`unknown filter ${name}; known are ${Object.keys(kinds).sort().join(', ')}`);
    try {
      byName.set(name, [...(byName.get(name) ?? []), kind(text.slice(equals + 1).trim())]);
    } catch (error) {
      if (error instanceof FilterValueError) fail(error.message);
      throw error;
    }
  }
  return {
    has: (name) => byName.has(name),
    select: (all) =>
      all.filter((item) =>
        [...byName].every(([name, tests]) => {
          const matches = (test: Test<Item>) => test(item, all);
          return every.includes(name) ? tests.every(matches) : tests.some(matches);
        }),
      ),
  };
}

/** NAME or NAME=value. */
export function labelTest(value: string): (labels: Readonly<Record<string, string>> | undefined) => boolean {
  const equals = value.indexOf('=');
  const name = equals < 0 ? value : value.slice(0, equals);
  return (labels = {}) => Object.hasOwn(labels, name) && (equals < 0 || labels[name] === value.slice(equals + 1));
}

/** Throws FilterValueError. */
export function patternOf(value: string): RegExp {
  try {
    return new RegExp(value);
  } catch {
    throw new FilterValueError('expected a regular expression');
  }
}

/** Throws FilterValueError. */
export function oneOf(value: string, known: readonly string[]): string {
  if (known.includes(value)) return value;
  throw new FilterValueError(`expected one of ${known.join(', ')}`);
}

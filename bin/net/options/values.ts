/** Parsers of option values that several commands have in common. */
import { UsageError } from '../../../parent/errors.js';

/** Collects the values of an option that may be repeated. */
export const collect = (value: string, before: string[] = []): string[] => [...before, value];

/** Throws UsageError. */
export function parseLabel(text: string): [string, string] {
  const equals = text.indexOf('=');
  if (equals === 0 || text === '') throw new UsageError(`invalid --label ${JSON.stringify(text)}: expected NAME=value`);
  return equals < 0 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)];
}

/** As with docker, -1 means no limit. Throws UsageError. */
export function parseSeconds(text: string): number {
  if (/^(-1|\d{1,6})$/.test(text)) return Number(text);
  throw new UsageError(`invalid --time ${JSON.stringify(text)}: expected a number of seconds, or -1 for no limit`);
}

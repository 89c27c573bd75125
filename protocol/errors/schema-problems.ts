/** Messages for zod's issues: its own have several lines, and do not name the valid values. */
import * as z from 'zod';
import { quote } from '../text/preview.js';
import { ExpectedError, withHint } from './expected-error.js';

/** The first problem, as `field: problem`, and the path of the value. */
export function firstProblem({ issues: [issue] }: z.ZodError): { message: string; field: string | undefined } {
  const message = issue?.message ?? 'it is not valid';
  const field = issue?.path.map(String).join('.') ?? '';
  return field === '' ? { message, field: undefined } : { message: `${field}: ${message}`, field };
}

/** For transform(): applies `parse`, and reports the ExpectedError that it throws as the problem. */
export function parsing<In, Out>(parse: (value: In) => Out) {
  return (value: In, context: z.RefinementCtx): Out => {
    try {
      return parse(value);
    } catch (error) {
      if (!(error instanceof ExpectedError)) throw error;
      context.addIssue(withHint(error.message, error.hint));
      return z.NEVER;
    }
  };
}

/** The message for an issue without one. */
export function problemOf(issue: z.core.$ZodRawIssue): string {
  const { input } = issue;
  switch (issue.code) {
    case 'invalid_type':
      return input === undefined ? 'it is missing' : `${quote(input)} is not ${article(issue.expected)}`;
    case 'unrecognized_keys':
      return `unknown key${issue.keys.length === 1 ? '' : 's'} ${issue.keys.map(quote).join(', ')}`;
    case 'invalid_value':
      return `${quote(input)} is not one of ${issue.values.map(String).join(', ')}`;
    case 'too_big':
      return Array.isArray(input)
        ? `${input.length} are too many, at most ${issue.maximum} can be given`
        : `${quote(input)} is too large, ${issue.maximum} is the most`;
    case 'too_small':
      return typeof input === 'number' ? `${input} is too small, ${issue.minimum} is the least` : 'it is empty';
    case 'invalid_key':
      return 'a key is empty';
    default:
      return `${quote(input)} is not valid`;
  }
}

function article(type: string): string {
  const names: Readonly<Record<string, string>> = {
    array: 'an array',
    int: 'a whole number',
    object: 'an object',
    record: 'an object',
    boolean: 'true or false',
  };
  return names[type] ?? `a ${type}`;
}

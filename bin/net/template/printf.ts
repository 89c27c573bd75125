/** The verbs of Go's fmt package that apply to the values of templates. */
import { kindOf, MAX_WIDTH, TemplateError, textOf, type Value } from './values.js';

const VERB = /%([-+# 0]*)(\d+)?(?:\.(\d+))?(.)/gsu;

/** Throws TemplateError. */
export function formatVerbs(format: string, values: readonly Value[]): string {
  if (/(?<!%)(%%)*%[-+# 0\d.]*$/.test(format))
    throw new TemplateError(`printf ${JSON.stringify(format)}: a verb is missing after %`);
  let used = 0;
  const text = format.replaceAll(
    VERB,
    // biome-ignore lint/complexity/useMaxParams: String.replaceAll() passes each group of the pattern
    (_all, flags: string, width: string | undefined, precision: string | undefined, verb: string) => {
      if (verb === '%') return '%';
      if (used >= values.length)
        throw new TemplateError(`printf ${JSON.stringify(format)}: a value for %${verb} is missing`);
      const shown = show(verb, values[used++], precision === undefined ? undefined : Number(precision), flags);
      return fill(shown, Number(width ?? 0), flags, typeof values[used - 1] === 'number');
    },
  );
  if (used < values.length)
    throw new TemplateError(`printf ${JSON.stringify(format)}: ${values.length - used} more values than verbs`);
  return text;
}

function show(verb: string, value: Value, precision: number | undefined, flags: string): string {
  const wrong = () => new TemplateError(`printf cannot show ${kindOf(value)} by %${verb}`);
  switch (verb) {
    case 'v':
      return textOf(value);
    case 's':
      return [...textOf(value)].slice(0, precision).join('');
    case 'q':
      if (typeof value !== 'string') throw wrong();
      return JSON.stringify(value);
    case 't':
      if (typeof value !== 'boolean') throw wrong();
      return String(value);
    case 'd':
    case 'x':
    case 'X': {
      if (typeof value !== 'number' || !Number.isInteger(value)) throw wrong();
      const digits = value.toString(verb === 'd' ? 10 : 16);
      const sign = flags.includes('+') && value >= 0 ? '+' : '';
      return sign + (verb === 'X' ? digits.toUpperCase() : digits);
    }
    case 'f':
      if (typeof value !== 'number') throw wrong();
      return value.toFixed(Math.min(precision ?? 6, 100));
    default:
      throw new TemplateError(`unknown verb %${verb} of printf; known are %s %v %q %d %x %X %f %t and %%`);
  }
}

function fill(text: string, width: number, flags: string, number: boolean): string {
  if (width > MAX_WIDTH) throw new TemplateError(`printf: the width ${width} is larger than ${MAX_WIDTH}`);
  const missing = width - [...text].length;
  if (missing <= 0) return text;
  if (flags.includes('-')) return text + ' '.repeat(missing);
  if (!flags.includes('0') || !number) return ' '.repeat(missing) + text;
  const sign = /^[-+]?/.exec(text)?.[0] ?? '';
  return sign + '0'.repeat(missing) + text.slice(sign.length);
}

/** The options of a command: those that are on or off, and those that take a value. Names without dashes. */
export interface LongOptions {
  booleans: readonly string[];
  valued: readonly string[];
  /** Whether the first word that is no option begins another command, which is left alone. */
  stopAtCommand?: boolean;
  /** Whether there is a `--no-NAME` for each that is on or off, which takes back what was said before. */
  negatable?: boolean;
}

/**
 * Rewrites options as Go's flag package takes them, and as scripts for RootlessKit may write them, into the usual
 * form: `-socket X` becomes `--socket X`, `--json=true` becomes `--json`, `--json=0` goes (or becomes `--no-json`). What is no such
 * option stays as it is, and so does everything after `--`.
 */
export function normalizeGoFlags(
  args: readonly string[],
  { booleans, valued, stopAtCommand, negatable }: LongOptions,
): string[] {
  const result: string[] = [];
  for (let index = 0; index < args.length; index++) {
    const arg = args[index] ?? '';
    if (arg === '--') return [...result, ...args.slice(index)];
    if (stopAtCommand && !arg.startsWith('-')) return [...result, '--', ...args.slice(index)];
    const match = /^--?([a-z][a-z0-9-]*)(?:=(.*))?$/s.exec(arg);
    const name = match?.[1] ?? '';
    const dashed = name.length === 1 ? `-${name}` : `--${name}`;
    const value = match?.[2];
    if (booleans.includes(name)) {
      if (value === undefined || isTrue(value)) result.push(dashed);
      else if (!isFalse(value)) result.push(arg);
      else if (negatable) result.push(`--no-${name}`);
    } else if (valued.includes(name)) {
      if (value === undefined) {
        result.push(dashed);
        if (index + 1 < args.length) result.push(args[++index] ?? '');
      } else if (name.length === 1) {
        result.push(dashed, value);
      } else {
        result.push(`${dashed}=${value}`);
      }
    } else {
      // Not an option of ours: without its value, so that the name alone is looked for among those that are.
      result.push(name.length > 1 ? dashed : arg);
    }
  }
  return result;
}

/** As Go's strconv.ParseBool. */
function isTrue(text: string): boolean {
  return ['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text);
}

function isFalse(text: string): boolean {
  return ['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text);
}

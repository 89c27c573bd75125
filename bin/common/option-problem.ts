/** `"x" is not an IP address`, as the stack reports an invalid value. */
const NOT = /^("(?:[^"\\]|\\.)*") is (not .*)$/s;
/** `invalid volume "x": …`, as parsers of values report one. */
const INVALID = /^(?:invalid|unknown) (?:[a-z]+ )+(".*)$/s;

/**
 * The message about the value of an option, in the form of all commands: `invalid --volume "x": expected …`. `problem` is
 * what the parser of the value, or the stack, reports, without the option.
 */
export function optionProblem(option: string, problem: string): string {
  const value = INVALID.exec(problem)?.[1];
  if (value !== undefined) return `invalid ${option} ${value}`;
  const [, text, reason] = NOT.exec(problem) ?? [];
  if (text !== undefined) return `invalid ${option} ${text}: ${reason}`;
  return `invalid ${option}: ${problem}`;
}
